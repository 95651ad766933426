#!lua flags=allow-oom
-- log: append lines to a run's journal; the oldest go when there are too many. Sent twice, the lines stand there twice.
-- KEYS ns, run, log     ARGV how many are kept, line*
-- Returns how many there are
redis.call('RPUSH', KEYS[3], unpack(ARGV, 2))
redis.call('LTRIM', KEYS[3], -tonumber(ARGV[1]), -1)
if not is_open(redis.call('HGET', KEYS[2], 'st')) and redis.call('TTL', KEYS[3]) == -1 then
  redis.call('PEXPIRE', KEYS[3], math.max(redis.call('PTTL', KEYS[2]), 1000))
end
return redis.call('LLEN', KEYS[3])
