#!lua flags=allow-oom
-- stop_run: an item ends its whole run, and the root has steps to do at the end (`finally`): every other frame is void, the root goes on there.
-- KEYS ns, run, results, log, fence
-- ARGV epoch, rid, root's cursor, cost, tokens in, tokens out, calls, journal line, records, (path, record)*
-- Returns now | "fenced" | "gone"
local run, rid = KEYS[2], ARGV[2]
local refused, ties = refuse(run, KEYS[5], ARGV[1])
if refused then return refused end
local at = now()
write_records(KEYS[3], 10, #ARGV)
use(run, 4)
if ties then runs().hang_up_below(run, rid, '', at) end
void(run, rid, '')
for _, key in ipairs(redis.call('SMEMBERS', run .. ':keys')) do
  local path = frame_path(run, key)
  if path then void(run, rid, path) end
  redis.call('UNLINK', key)
end
redis.call('UNLINK', run .. ':keys')
redis.call('HSET', run, 'c', ARGV[3], 'n', 0, 'd', 0, 'm', '')
redis.call('HINCRBY', run, 'q', 1)
if ARGV[8] ~= '' then redis.call('RPUSH', KEYS[4], ARGV[8]) end
wake(run, rid, '', at)
return at
