#!lua flags=allow-oom
-- items: a lane hands in what it finished and takes its next items. Called with nothing finished it first gets back
-- what it had claimed before a crash.
-- KEYS ns, run, lane, fan, results
-- ARGV epoch, rid, lane path, worker, want, in flight, first call of this claim, or sent again (1/0), cost, tokens in, tokens out, calls, finished,
--      then for each finished: index, failed (1/0), frame to drop ('' for none), records, (path, record)*
-- Returns {status, now, index...} (`~index` or `~index:deaths` for an item that may have begun before): status "go" | "idle" (the lane was let go of) | "stop" (no more items; lane let go of when nothing is in flight) | "fenced" | "gone"
-- Invariant: an item is claimed by one lane at a time, and r <= c.   Cost: O(items finished + handed out)
local run, lane, fan, rid = KEYS[2], KEYS[3], KEYS[4], ARGV[2]
-- `w` besides: a lane that was let go of (and the reply was lost) takes nothing more under the same claim.
local held = redis.call('HMGET', lane, 'e', 'w')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[4] then return { 'fenced' } end
local ended = not is_open(redis.call('HGET', run, 'st'))
local v = redis.call('HMGET', fan, 'n', 'x', 'r', 'k', 'b', 'a', 'c', 's', 'F', 'J')
if not v[1] then return { 'gone' } end
local h = { n = tonumber(v[1]), r = tonumber(v[3]), k = tonumber(v[4]), b = tonumber(v[5]), a = tonumber(v[6]), s = tonumber(v[8]), first = tonumber(v[10] or '0') }
local x, c = tonumber(v[2]), tonumber(v[7])
local at = now()
local failed_now, succeeded_now, counted = false, false, 0
local i = 13
for _ = 1, tonumber(ARGV[12]) do
  local index, failed, frame, count = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
  i = i + 4
  if redis.call('HDEL', lane, 'a' .. index) == 1 then
    write_records(KEYS[5], i, i + 2 * count - 1)
    h.r, h.k, counted = h.r - 1, h.k + 1, counted + 1
    if failed == '1' then h.b, failed_now = h.b + 1, true else succeeded_now = true end
    if frame ~= '' then
      redis.call('UNLINK', frame)
      redis.call('SREM', run .. ':keys', frame)
    end
  end
  i = i + 2 * count
end
-- A result that was paid for is kept even when the run ended meanwhile; nothing new begins.
if counted > 0 then use(run, 8) end
local flight = tonumber(ARGV[6])
if ended then
  redis.call('HSET', fan, 'r', h.r, 'k', h.k, 'b', h.b)
  if counted > 0 and redis.call('TTL', KEYS[5]) == -1 then redis.call('PEXPIRE', KEYS[5], redis.call('PTTL', run)) end
  if flight == 0 then redis.call('SREM', P .. ':worker:' .. ARGV[4], rid .. '|' .. ARGV[3]) end
  return { 'gone' }
end
local out = { 'go', at }
if ARGV[7] == '1' then
  -- `a<index>` counts the workers that died in the item; with a `z` behind, it waits to work alone and has not begun.
  local died = (redis.call('HGET', lane, 'd') or '0') ~= '0'
  local fields = redis.call('HGETALL', lane)
  for f = 1, #fields, 2 do
    local index = string.match(fields[f], '^a(%d+)$')
    if index then
      local deaths, waits = string.match(fields[f + 1], '^(%d+)(z?)$')
      if died and waits == '' then deaths = text(deaths + 1) end
      if died then redis.call('HSET', lane, fields[f], tonumber(deaths) >= 2 and deaths .. 'z' or deaths) end
      out[#out + 1] = '~' .. index .. ':' .. deaths
    end
  end
  if died then redis.call('HSET', lane, 'd', 0) end
end
local again_left = h.s == 0 and redis.call('LLEN', fan .. ':again') or 0
local want, before = tonumber(ARGV[5]), #out
local take = math.min(want, c - h.r)
if h.s == 0 and not (failed_now and h.b > h.a) and not (succeeded_now and h.first == 1) then
  local fields = {}
  while take > 0 do
    local index
    if again_left > 0 then
      index = redis.call('LPOP', fan .. ':again')
      again_left = again_left - 1
      out[#out + 1] = '~' .. index
    elseif x < h.n then
      index = text(x)
      x = x + 1
      out[#out + 1] = index
      if v[9] then  -- what an earlier round of this fan-out recorded of the item
        redis.call('HDEL', KEYS[5], string.match(ARGV[3], '^(.*)#%d+$') .. '[' .. index .. ']')
      end
    else break end
    fields[#fields + 1] = 'a' .. index
    fields[#fields + 1] = '0'
    h.r, take = h.r + 1, take - 1
  end
  for first = 1, #fields, PART do
    redis.call('HSET', lane, unpack(fields, first, math.min(first + PART - 1, #fields)))
  end
end
redis.call('HSET', fan, 'x', x, 'r', h.r, 'k', h.k, 'b', h.b)
if counted > 0 then
  settle_fan(run, rid, fan, h, failed_now, succeeded_now, ARGV[3], at)
end
if h.s == 1 then out[1] = 'stop' end
if flight == 0 and #out == 2 then
  if h.s == 0 and (x < h.n or again_left > 0 or h.k < h.n) then
    redis.call('RPUSH', fan .. ':idle', string.match(ARGV[3], '#(%d+)$'))
    out[1] = 'idle'
  else
    out[1] = 'stop'
  end
  rest(run, rid, ARGV[3], ARGV[4])
end
return out
