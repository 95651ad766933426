#!lua flags=allow-oom
-- only_waits: whether nothing but waits is left of a run and of those that it called.
-- KEYS ns          ARGV rid
-- Returns 1 | 0
local function waits(rid)
  local run = P .. ':run:{' .. rid .. '}'
  if redis.call('HGET', run, 'st') ~= 'waiting' then return false end
  for _, path in ipairs(redis.call('SMEMBERS', run .. ':kids')) do
    if not waits(redis.call('HGET', frame_key(run, path), 'k')) then return false end
  end
  return true
end
return waits(ARGV[1]) and 1 or 0
