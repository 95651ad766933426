#!lua flags=allow-oom
-- drop: a worker lets go of a frame whose claim it lost, or whose run has ended.
-- KEYS ns, run, frame
-- ARGV rid, path, worker, epoch
-- Returns 1 if the worker still held it
local f = redis.call('HMGET', KEYS[3], 'w', 'e')
if f[1] == ARGV[3] and f[2] ~= ARGV[4] then return 0 end
if f[1] == ARGV[3] then redis.call('HDEL', KEYS[3], 'w', 'o') end
if redis.call('SREM', P .. ':worker:' .. ARGV[3], ARGV[1] .. '|' .. ARGV[2]) == 0 then return 0 end
if redis.call('HEXISTS', KEYS[2], 'st') == 1 then redis.call('HINCRBY', KEYS[2], 'n', -1) end
return 1
