#!lua flags=allow-oom
-- take_place: one of the places of a limit (`at_once`), or the end of the line for one. The same token again changes nothing.
-- KEYS ns, held, line   ARGV worker, token, limit, at_once
-- Returns 1 it has a place | 0 it is in the line; the worker is rung at when it has one | -1 the worker's lease was ended
local worker, token, most = ARGV[1], ARGV[2], tonumber(ARGV[4])
if not redis.call('ZSCORE', P .. ':workers', worker) then return -1 end
if redis.call('HEXISTS', KEYS[2], token) == 1 then return 1 end
redis.call('HSET', P .. ':places:' .. worker, token, ARGV[3])
redis.call('ZADD', KEYS[3], 'NX', redis.call('INCR', P .. ':seq'), token)
call_next(ARGV[3], most, token)
return redis.call('HEXISTS', KEYS[2], token)
