#!lua flags=allow-oom
-- log: append lines to a run's journal; the oldest go when there are too many.
-- KEYS ns, run, fence, log     ARGV epoch, how many are kept, sent again (1/0), line*
-- Returns how many there are | "fenced"
if redis.call('HGET', KEYS[3], 'e') ~= ARGV[1] then return 'fenced' end
local n = #ARGV - 3
if ARGV[3] == '1' then  -- the reply was lost: they may stand there already, at the end or a little before
  local tail = redis.call('LRANGE', KEYS[4], -(n + 100), -1)
  for first = 1, #tail - n + 1 do
    local same = 0
    while same < n and tail[first + same] == ARGV[4 + same] do same = same + 1 end
    if same == n then return redis.call('LLEN', KEYS[4]) end
  end
end
redis.call('RPUSH', KEYS[4], unpack(ARGV, 4))
redis.call('LTRIM', KEYS[4], -tonumber(ARGV[2]), -1)
if not is_open(redis.call('HGET', KEYS[2], 'st')) and redis.call('TTL', KEYS[4]) == -1 then
  redis.call('PEXPIRE', KEYS[4], math.max(redis.call('PTTL', KEYS[2]), 1000))
end
return redis.call('LLEN', KEYS[4])
