#!lua flags=allow-oom
-- begin: a frame that waited until it could work alone begins; from now on a death of its worker counts against it.
-- KEYS ns, run, frame     ARGV epoch
-- Returns now | "fenced" | "gone"
local refused = refuse(KEYS[2], KEYS[3], ARGV[1])
if refused then return refused end
redis.call('HDEL', KEYS[3], 'z')
return now()
