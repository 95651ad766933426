#!lua
-- accept_event: keep an event, and wake every frame that waits at one of its indexes. Accepted means durable.
-- KEYS ns, event
-- ARGV id, name, data (JSON), time (text), retention ms, paths known to the caller, (path, key of the value)*
-- An index is `<ns>:ev:<name>` and, for each path that somebody listens at, `<ns>:ev:<name>|<path>=<key>`.
-- Returns {"ok", now, number, woken} | {"seen", now of then, number} | {"paths", path...} (the caller did not know them all)
local name = ARGV[2]
local before = redis.call('HMGET', KEYS[2], 'at', 'n')
if before[1] then return { 'seen', tonumber(before[1]), tonumber(before[2]) } end
local paths = P .. ':paths:' .. name
if redis.call('SCARD', paths) ~= tonumber(ARGV[6]) then return { 'paths', unpack(redis.call('SMEMBERS', paths)) } end
local at, keep = now(), tonumber(ARGV[5])
local number = redis.call('INCR', P .. ':evseq')
redis.call('HSET', KEYS[2], 'name', name, 'data', ARGV[3], 'time', ARGV[4], 'at', at, 'n', number)
redis.call('PEXPIRE', KEYS[2], keep)
redis.call('ZADD', P .. ':events', at, ARGV[1])
redis.call('ZREMRANGEBYSCORE', P .. ':events', '-inf', at - keep)
local indexes = { P .. ':ev:' .. name }
for i = 7, #ARGV, 2 do indexes[#indexes + 1] = indexes[1] .. '|' .. ARGV[i] .. '=' .. ARGV[i + 1] end
local woken = 0
for _, index in ipairs(indexes) do
  redis.call('ZADD', index, at, string.format('%016.0f', number) .. '|' .. ARGV[1])
  redis.call('ZREMRANGEBYSCORE', index, '-inf', at - keep)
  redis.call('PEXPIRE', index, keep)
  local waiting = index .. ':waiting'
  for _, member in ipairs(redis.call('SMEMBERS', waiting)) do
    local bar = string.find(member, '|', 1, true)
    local rid, path = string.sub(member, 1, bar - 1), string.sub(member, bar + 1)
    local run = P .. ':run:{' .. rid .. '}'
    if is_open(redis.call('HGET', run, 'st')) then
      wake(run, rid, path, at)
      woken = woken + 1
    end
  end
  redis.call('DEL', waiting)
end
return { 'ok', at, number, woken }
