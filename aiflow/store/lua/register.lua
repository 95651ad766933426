#!lua flags=allow-oom
-- register: a worker process begins, or begins anew.
-- KEYS ns          ARGV worker, lease ms, info (JSON)
-- Returns now
local at = now()
redis.call('ZADD', P .. ':workers', at + ARGV[2], ARGV[1])
redis.call('HSET', P .. ':workerinfo', ARGV[1], ARGV[3])
return at
