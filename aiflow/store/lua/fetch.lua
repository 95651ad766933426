#!lua flags=allow-oom
-- fetch: take messages from the queue. They are wake-ups: `ready` holds the truth, so taking one is acknowledging it.
-- KEYS ns          ARGV how many
-- Returns message bodies
local ids = redis.call('LPOP', P .. ':q:default', ARGV[1])
if not ids then return {} end
local bodies = redis.call('HMGET', P .. ':q:default.msgs', unpack(ids))
redis.call('HDEL', P .. ':q:default.msgs', unpack(ids))
local out = {}
for i = 1, #ids do
  if bodies[i] then out[#out + 1] = bodies[i] end
end
return out
