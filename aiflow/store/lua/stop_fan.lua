#!lua flags=allow-oom
-- stop_fan: let nothing new begin in a fan-out that its frame has given up; runs that its items called are cancelled.
-- KEYS ns, run, fan
-- ARGV rid
-- Returns now
redis.call('HSET', KEYS[3], 's', 1)
local at = now()
give_up_items(KEYS[2], ARGV[1], KEYS[3], at)
return at
