#!lua flags=allow-oom
-- fetch: take messages from the queue. They are wake-ups: `ready` holds the truth, so taking one is acknowledging it.
-- Nobody takes more than its share of what waits now: the lanes of one fan-out spread over the workers.
-- KEYS ns          ARGV how many at most
-- Returns message bodies
local queue = P .. ':q:default'
local share = math.ceil(redis.call('LLEN', queue) / math.max(1, redis.call('ZCARD', P .. ':workers')))
if share == 0 then return {} end
local ids = redis.call('LPOP', queue, math.min(share, tonumber(ARGV[1])))
local bodies = redis.call('HMGET', queue .. '.msgs', unpack(ids))
redis.call('HDEL', queue .. '.msgs', unpack(ids))
local out = {}
for i = 1, #ids do
  if bodies[i] then out[#out + 1] = bodies[i] end
end
return out
