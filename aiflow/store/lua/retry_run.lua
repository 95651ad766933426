#!lua
-- retry_run: open a failed or cancelled run again, at the step where it stopped.
-- KEYS ns, run, results, log
-- ARGV rid, journal line
-- Returns "accepted" | "missing" | the status it has
local run, rid = KEYS[2], ARGV[1]
local st = redis.call('HGET', run, 'st')
if not st then return 'missing' end
if st ~= 'failed' and st ~= 'cancelled' then return st end
local at = now()
-- Claims of the time before are void: whoever still works under one writes nothing.
void(run, rid, '')
for _, key in ipairs(redis.call('SMEMBERS', run .. ':keys')) do
  local path = frame_path(run, key)
  if path then void(run, rid, path) end
  redis.call('PERSIST', key)
end
redis.call('HSET', run, 'st', 'queued', 'n', 0, 'd', 0, 'q', 0, 'm', '')
redis.call('HINCRBY', run, 'g', 1)
redis.call('HDEL', run, 't2', 'out', 'err')
for _, key in ipairs({ run .. ':keys', run, KEYS[3], KEYS[4] }) do redis.call('PERSIST', key) end
redis.call('ZADD', P .. ':open', redis.call('HGET', run, 't0'), rid)
redis.call('ZREM', P .. ':dead', rid)
redis.call('ZREM', P .. ':cancels', rid)
redis.call('RPUSH', KEYS[4], ARGV[2])
wake(run, rid, '', at)
return 'accepted'
