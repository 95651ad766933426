#!lua flags=allow-oom
-- rewake: push the message again for frames that are ready and that nobody claimed (a message was lost).
-- KEYS ns          ARGV older than ms, batch
-- Returns how many
-- A long queue means that everybody is busy, not that a message was lost.
if redis.call('LLEN', P .. ':q:default') > tonumber(ARGV[2]) then return 0 end
local at = now()
local names = redis.call('ZRANGEBYSCORE', P .. ':ready', '-inf', at - tonumber(ARGV[1]), 'LIMIT', 0, ARGV[2])
for _, name in ipairs(names) do
  local bar = string.find(name, '|', 1, true)
  local rid, path = string.sub(name, 1, bar - 1), string.sub(name, bar + 1)
  local run = P .. ':run:{' .. rid .. '}'
  if is_open(redis.call('HGET', run, 'st')) then wake(run, rid, path, at)
  else redis.call('ZREM', P .. ':ready', name) end
end
return #names
