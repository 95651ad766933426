#!lua flags=allow-oom
-- cancel_run: end a run, wherever it is. Workers hear of it at their next write, or from `cancels`.
-- KEYS ns, run, results, log
-- ARGV rid, reason, retention ms, journal line
-- Returns "accepted" | "missing" | the status it already has
local run, rid = KEYS[2], ARGV[1]
local st = redis.call('HGET', run, 'st')
if not st then return 'missing' end
if not is_open(st) then return st end
local at = now()
redis.call('HSET', run, 'st', 'cancelled', 't2', at, 'err', ARGV[2], 'n', 0)
redis.call('ZREM', P .. ':open', rid)
still(run, rid, '')
redis.call('ZADD', P .. ':cancels', at, rid)
redis.call('ZREMRANGEBYSCORE', P .. ':cancels', '-inf', at - 600000)
redis.call('RPUSH', KEYS[4], ARGV[4])
for _, key in ipairs(redis.call('SMEMBERS', run .. ':keys')) do
  local path = frame_path(run, key)
  if path then still(run, rid, path) end
  redis.call('PEXPIRE', key, ARGV[3])
end
for _, key in ipairs({ run .. ':keys', run, KEYS[3], KEYS[4] }) do redis.call('PEXPIRE', key, ARGV[3]) end
return 'accepted'
