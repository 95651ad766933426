#!lua flags=allow-oom
-- log: append lines to a run's journal; the oldest go when there are too many. Sent twice, the lines stand there twice.
-- KEYS ns, run, fence, log     ARGV epoch, how many are kept, line*
-- Returns how many there are | "fenced"
if redis.call('HGET', KEYS[3], 'e') ~= ARGV[1] then return 'fenced' end
redis.call('RPUSH', KEYS[4], unpack(ARGV, 3))
redis.call('LTRIM', KEYS[4], -tonumber(ARGV[2]), -1)
if not is_open(redis.call('HGET', KEYS[2], 'st')) and redis.call('TTL', KEYS[4]) == -1 then
  redis.call('PEXPIRE', KEYS[4], math.max(redis.call('PTTL', KEYS[2]), 1000))
end
return redis.call('LLEN', KEYS[4])
