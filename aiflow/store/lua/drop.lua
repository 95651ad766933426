#!lua flags=allow-oom
-- drop: a worker lets go of a frame whose claim it lost, or whose run has ended.
-- KEYS ns, run, frame
-- ARGV rid, path, worker, epoch, hand on (1: if the claim still holds, somebody else goes on)
-- Returns 1 if the worker still held it
local run, rid, path = KEYS[2], ARGV[1], ARGV[2]
local f = redis.call('HMGET', KEYS[3], 'w', 'e')
if f[1] == ARGV[3] and f[2] ~= ARGV[4] then return 0 end
redis.call('SREM', P .. ':worker:' .. ARGV[3], rid .. '|' .. path)
if f[1] ~= ARGV[3] then return 0 end
redis.call('HDEL', KEYS[3], 'w', 'o')
if is_open(redis.call('HGET', run, 'st')) then
  less(run)
  if ARGV[5] == '1' then wake(run, rid, path, now()) end
end
return 1
