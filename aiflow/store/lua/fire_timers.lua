#!lua flags=allow-oom
-- fire_timers: make the frames ready whose time has come, a batch at a time.
-- KEYS ns          ARGV batch
-- Returns {fired, now, next due or 0}
local at = now()
local due = redis.call('ZRANGEBYSCORE', P .. ':timers', '-inf', at, 'LIMIT', 0, ARGV[1])
for _, name in ipairs(due) do
  redis.call('ZREM', P .. ':timers', name)
  local bar = string.find(name, '|', 1, true)
  local rid, path = string.sub(name, 1, bar - 1), string.sub(name, bar + 1)
  local run = P .. ':run:{' .. rid .. '}'
  if is_open(redis.call('HGET', run, 'st')) then wake(run, rid, path, at) end
end
local first = redis.call('ZRANGE', P .. ':timers', 0, 0, 'WITHSCORES')
return { #due, at, first[2] and text(tonumber(first[2])) or '0' }
