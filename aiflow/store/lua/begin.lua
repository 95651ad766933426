#!lua flags=allow-oom
-- begin: what waited until it could work alone begins, from now on a death of its worker counts against it; or it got on.
-- KEYS ns, run, fence     ARGV epoch, index of an item of a lane ('' for a frame), deaths so far
-- Returns now | "fenced" | "gone"
local refused = refuse(KEYS[2], KEYS[3], ARGV[1])
if refused then return refused end
if ARGV[2] == '' then redis.call('HDEL', KEYS[3], 'z')
elseif redis.call('HEXISTS', KEYS[3], 'a' .. ARGV[2]) == 1 then redis.call('HSET', KEYS[3], 'a' .. ARGV[2], ARGV[3]) end
return now()
