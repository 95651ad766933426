#!lua flags=allow-oom
-- finish_run: the last checkpoint of a run: its status, outputs or error. Everything that is left of it gets its time to live.
-- KEYS ns, run, results, log, fence
-- ARGV epoch, rid, sequence, cursor, cost, tokens in, tokens out, calls, status, outputs, error, retention ms, worker, journal line, records, (path, record)*
-- Returns now | "fenced" | "gone"
local run, rid = KEYS[2], ARGV[2]
local refused, ties = refuse(run, KEYS[5], ARGV[1])
if refused then return refused end
local at = now()
write_records(KEYS[3], 16, #ARGV)
use(run, 5)
redis.call('HSET', run, 'st', ARGV[9], 't2', at, 'd', 0, 'm', '')
if KEYS[5] == run then redis.call('HSET', run, 'q', ARGV[3], 'c', ARGV[4]) end
if ARGV[10] ~= '' then redis.call('HSET', run, 'out', ARGV[10]) end
if ARGV[11] ~= '' then redis.call('HSET', run, 'err', ARGV[11]) end
redis.call('HDEL', run, 'w', 'o')
redis.call('HSET', run, 'n', 0)
redis.call('SREM', P .. ':worker:' .. ARGV[13], rid .. '|')
still(run, rid, '')
redis.call('ZREM', P .. ':open', rid)
if ARGV[9] == 'failed' then redis.call('ZADD', P .. ':dead', at, rid) end
if ARGV[14] ~= '' then redis.call('RPUSH', KEYS[4], ARGV[14]) end
local keep = ARGV[9] == 'failed' or ARGV[9] == 'cancelled'
for _, key in ipairs(redis.call('SMEMBERS', run .. ':keys')) do
  local path = frame_path(run, key)
  if path then still(run, rid, path) end
  if keep then redis.call('PEXPIRE', key, ARGV[12]) else redis.call('UNLINK', key) end
end
if keep then redis.call('PEXPIRE', run .. ':keys', ARGV[12]) else redis.call('UNLINK', run .. ':keys') end
redis.call('PEXPIRE', run, ARGV[12])
redis.call('PEXPIRE', KEYS[3], ARGV[12])
redis.call('PEXPIRE', KEYS[4], ARGV[12])
if ties then runs().ended(run, rid, at) end
return at
