#!lua flags=allow-oom
-- leave_place: give a place of a limit back, or step out of the line for one. The next in the line gets it.
-- KEYS ns, held, line   ARGV worker, token, limit, at_once
-- Returns the tokens of the same worker that got a place by this; those of others are rung for
local token = ARGV[2]
redis.call('HDEL', KEYS[2], token)
redis.call('ZREM', KEYS[3], token)
redis.call('HDEL', P .. ':places:' .. ARGV[1], token)
return call_next(ARGV[3], tonumber(ARGV[4]), ARGV[1])
