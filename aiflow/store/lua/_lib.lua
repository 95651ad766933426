-- Shared by all scripts, put before each of them, after the time (`now`, `now_us`). KEYS[1] is always the namespace, KEYS[2] (if any) the run's hash.
-- Store-wide keys (ready, timers, queue, doorbell ...) derive from the namespace; keys of a run from the run's hash.
local P = KEYS[1]
local runs  -- what begins and ends whole runs: see `_runs`; nil in a script that does not ask for it

local function text(number)
  return string.format('%.0f', number)
end

local function frame_key(run, path)
  if path == '' then return run end
  return run .. ':f:' .. path
end

local function run_id(run)
  return string.match(run, '{(.-)}')
end

local function is_open(status)
  return status == 'running' or status == 'waiting' or status == 'queued'
end

-- Push the wake-up, in Dramatiq's own layout (HSET msgs, RPUSH queue), and ring the doorbell.
local function push(rid, path, actor, at)
  local id = text(redis.call('INCR', P .. ':seq'))
  local body = '{"queue_name":"default","actor_name":' .. cjson.encode(actor)
    .. ',"args":["' .. rid .. '",' .. cjson.encode(path) .. '],"kwargs":{},"options":{"redis_message_id":"' .. id
    .. '"},"message_id":"' .. id .. '","message_timestamp":' .. text(at) .. '}'
  redis.call('HSET', P .. ':q:default.msgs', id, body)
  redis.call('RPUSH', P .. ':q:default', id)
  redis.call('RPUSH', P .. ':bell:default', '1')
  redis.call('LTRIM', P .. ':bell:default', -64, -1)
end

-- Make a frame claimable, and forget its timer. `n` of the run counts frames that are ready or claimed.
local function wake(run, rid, path, at)
  local f = redis.call('HMGET', frame_key(run, path), 'A', 'w')
  redis.call('ZREM', P .. ':timers', rid .. '|' .. path)
  local added = redis.call('ZADD', P .. ':ready', at, rid .. '|' .. path)
  if added == 1 and not f[2] then
    if redis.call('HINCRBY', run, 'n', 1) == 1 and redis.call('HGET', run, 'st') == 'waiting' then
      redis.call('HSET', run, 'st', 'running')
    end
  end
  push(rid, path, f[1] or redis.call('HGET', run, 'wf') or 'lost', at)
end

-- One frame fewer of an open run is ready or claimed.
local function less(run)
  if redis.call('HINCRBY', run, 'n', -1) <= 0 and redis.call('HGET', run, 'st') == 'running' then
    redis.call('HSET', run, 'st', 'waiting')
  end
end

-- A worker lets go of a frame that is not ready: it is parked or finished.
local function rest(run, rid, path, worker)
  redis.call('SREM', P .. ':worker:' .. worker, rid .. '|' .. path)
  if redis.call('HDEL', frame_key(run, path), 'w', 'o') > 0 then less(run) end
end

-- A worker lets go of a frame that it parks. `lane`: '' if the frame has its own claim; else it is an item, which leaves the lane
-- (whose claim is `fence`), keeps its place and is woken by `actor`.
local function leave(run, fence, rid, path, worker, actor, lane)
  if lane == '' then return rest(run, rid, path, worker) end
  local frame = frame_key(run, path)
  redis.call('HDEL', fence, 'a' .. string.match(path, '%[(%d+)%]$'))
  redis.call('HSET', frame, 'A', actor)
  redis.call('SADD', run .. ':keys', frame)
end

-- The path of a frame's key, nil for the other keys of a run.
local function frame_path(run, key)
  if string.sub(key, #run + 1, #run + 3) == ':f:' then return string.sub(key, #run + 4) end
  return nil
end

-- A frame does not wait for events any more. `indexes`: its field `W`.
local function not_waiting(frame, name, indexes)
  for index in string.gmatch(indexes, '[^\n]+') do redis.call('SREM', P .. ':' .. index .. ':waiting', name) end
  redis.call('HDEL', frame, 'W')
end

-- Take a frame from whoever holds it or waits for it: its claim is void, no timer and no message moves it.
local function void(run, rid, path)
  local frame, name = frame_key(run, path), rid .. '|' .. path
  local counted = redis.call('ZREM', P .. ':ready', name) == 1
  local worker = redis.call('HGET', frame, 'w')
  if worker then
    redis.call('SREM', P .. ':worker:' .. worker, name)
    counted = true
  end
  redis.call('ZREM', P .. ':timers', name)
  local indexes = redis.call('HGET', frame, 'W')
  if indexes then not_waiting(frame, name, indexes) end
  redis.call('HDEL', frame, 'e', 'w', 'o')
  if counted and is_open(redis.call('HGET', run, 'st')) then less(run) end
end

-- Void all frames below a path (`sides.`), and let nothing new begin in their fan-outs. `except`: a lane that is at work here itself.
local function void_below(run, rid, prefix, except)
  for _, key in ipairs(redis.call('SMEMBERS', run .. ':keys')) do
    local path = frame_path(run, key)
    if path and path ~= except and string.sub(path, 1, #prefix) == prefix then void(run, rid, path) end
    local kind, name = string.match(string.sub(key, #run + 1), '^:(e):(.*)$')
    if kind and string.sub(name, 1, #prefix) == prefix and redis.call('TYPE', key).ok == 'hash' then redis.call('HSET', key, 's', 1) end
  end
end

-- What the paths of all that stands in a fan-out begin with.
local function inside(run, fan)
  local path = string.sub(fan, #run + 4)
  return string.match(path, '^(.*)%*$') or path .. '['
end

-- A fan-out is given up: nothing new begins in those that stand in it.
local function stop_inside(run, fan)
  local prefix = run .. ':e:' .. inside(run, fan)
  for _, key in ipairs(redis.call('SMEMBERS', run .. ':keys')) do
    if string.sub(key, 1, #prefix) == prefix and redis.call('TYPE', key).ok == 'hash' then redis.call('HSET', key, 's', 1) end
  end
end

-- Remove what an earlier round of a fan-out, or one that its frame moved past, left of items: failed ones, cancelled ones, and what stands in them.
local function sweep_inside(run, rid, fan)
  local prefix, own = inside(run, fan), string.sub(fan, #run + 4)
  for _, key in ipairs(redis.call('SMEMBERS', run .. ':keys')) do
    local kind, path = string.match(string.sub(key, #run + 1), '^:([ef]):(.*)$')
    if kind and string.sub(path, 1, #prefix) == prefix and (string.sub(path, 1, #own) ~= own or string.sub(path, #own + 1, #own + 1) == '[') then
      if kind == 'f' then void(run, rid, path) end
      redis.call('UNLINK', key)
      redis.call('SREM', run .. ':keys', key)
    end
  end
end

-- Tell workers at once that frames are cancelled (`cancels` in keys.py); what all have heard of is forgotten.
local function announce(name, at)
  redis.call('ZADD', P .. ':cancels', at, name)
  redis.call('ZREMRANGEBYSCORE', P .. ':cancels', '-inf', at - 600000)
end

-- Remove a fan-out that its frame has moved past.
local function remove_fan(run, rid, path, lanes)
  local fan = run .. ':e:' .. path
  local over = redis.call('HMGET', fan, 'b', 'J')
  if over[2] or (over[1] or '0') ~= '0' then sweep_inside(run, rid, fan) end
  local names = { fan, fan .. ':idle', fan .. ':again' }
  for lane = 0, tonumber(lanes) - 1 do
    void(run, rid, path .. '#' .. lane)
    names[#names + 1] = frame_key(run, path .. '#' .. lane)
  end
  redis.call('UNLINK', unpack(names))
  redis.call('SREM', run .. ':keys', unpack(names))
end

-- What a fan-out of branches leaves behind when it is decided early: nothing of it goes on, and workers hear of it at once.
local function cancel_branches(run, rid, fan, except, at)
  local prefix = string.match(string.sub(fan, #run + 4), '^(.*)%*$')
  if not prefix then return end
  void_below(run, rid, prefix, except)
  if redis.call('EXISTS', run .. ':kids') == 1 then runs().hang_up_below(run, rid, prefix, at) end
  announce(rid .. '|' .. prefix .. '|' .. (redis.call('HGET', run, 'ec') or '0'), at)
end

-- Nothing moves a frame of a run that has ended; a worker that is in it may still hand in what was paid for.
local function still(run, rid, path)
  redis.call('ZREM', P .. ':ready', rid .. '|' .. path)
  redis.call('ZREM', P .. ':timers', rid .. '|' .. path)
  local indexes = redis.call('HGET', frame_key(run, path), 'W')
  if indexes then not_waiting(frame_key(run, path), rid .. '|' .. path, indexes) end
end

-- The write is allowed while the run is open and the claim is the newest: nil, or what to answer. Then, of the frame that is
-- written (if one is named): its last sequence, and the run that it waits for; else whether the run has ties to others (a caller,
-- called runs, a gate). All in as few reads as there are keys.
local function refuse(run, fence, epoch, frame)
  local e, st, first, second
  if run == fence then
    local f = frame == run and redis.call('HMGET', run, 'e', 'st', 'q', 'k') or redis.call('HMGET', run, 'e', 'st', 'L')
    e, st, first, second = f[1], f[2], f[3], f[4]
  elseif frame == fence then
    local f = redis.call('HMGET', fence, 'e', 'q', 'k')
    e, first, second = f[1], f[2], f[3]
    st = redis.call('HGET', run, 'st')
  else
    e = redis.call('HGET', fence, 'e')
    if frame then
      local f = redis.call('HMGET', frame, 'q', 'k')
      first, second = f[1], f[2]
      st = redis.call('HGET', run, 'st')
    else
      local f = redis.call('HMGET', run, 'st', 'L')
      st, first = f[1], f[2]
    end
  end
  if e ~= epoch then return 'fenced' end
  if not is_open(st) then return 'gone' end
  return nil, first, second
end

-- Add what model calls used, to the run and to those that wait for it: ARGV[i..i+3] = cost, tokens in, tokens out, calls ('' for none).
local function use(run, i)
  if ARGV[i] == '' then return end
  repeat
    redis.call('HINCRBYFLOAT', run, 'cost', ARGV[i])
    redis.call('HINCRBY', run, 'tin', ARGV[i + 1])
    redis.call('HINCRBY', run, 'tout', ARGV[i + 2])
    redis.call('HINCRBY', run, 'calls', ARGV[i + 3])
    local caller = redis.call('HGET', run, 'pr')
    run = caller and P .. ':run:{' .. string.match(caller, '^(.-)|') .. '}'
  until not run or redis.call('EXISTS', run) == 0
end

-- Lua unpacks some 8,000 values at most: hash fields are written in parts. An even number.
local PART = 4000

-- Write the records (path, record)* in ARGV[i] to ARGV[last].
local function write_records(results, i, last)
  for first = i, last, PART do
    redis.call('HSET', results, unpack(ARGV, first, math.min(first + PART - 1, last)))
  end
end

-- The fan-out is done: its parent goes on, if it is still where it fanned out (and was not begun anew meanwhile).
local function wake_parent(run, rid, fan, at)
  local parent = redis.call('HMGET', fan, 'P', 'Q')
  if redis.call('HGET', frame_key(run, parent[1]), 'q') == parent[2] then wake(run, rid, parent[1], at) end
end

-- Count finished items of a fan-out and wake its parent at the last one, at the failure that is one too many, or with
-- `first` at the first success. `h` = {n, r, k, b, a, s, first}, numbers, after the finished ones were counted in.
local function settle_fan(run, rid, fan, h, failed_now, succeeded_now, lane, at)
  local stopped = h.s == 1
  if not stopped and (failed_now and h.b > h.a or succeeded_now and h.first == 1) then
    h.s = 1
    redis.call('HSET', fan, 's', 1)
    stop_inside(run, fan)
    cancel_branches(run, rid, fan, lane, at)
    if redis.call('EXISTS', run .. ':kids') == 1 then runs().give_up_items(run, rid, fan, at) end
    wake_parent(run, rid, fan, at)
  elseif not stopped and h.k >= h.n then
    wake_parent(run, rid, fan, at)
  end
end

-- An item that had left its lane is finished: free its place, and call an idle lane if there is more to do.
local function item_left(run, rid, path, failed, at)
  local epath, index = string.match(path, '^(.*)%[(%d+)%]$')
  local fan = run .. ':e:' .. epath
  local v = redis.call('HMGET', fan, 'n', 'r', 'k', 'b', 'a', 's', 'x', 'c', 'J')
  if not v[1] then return end
  local h = { n = tonumber(v[1]), r = tonumber(v[2]) - 1, k = tonumber(v[3]) + 1, b = tonumber(v[4]),
              a = tonumber(v[5]), s = tonumber(v[6]), first = tonumber(v[9] or '0') }
  if failed then h.b = h.b + 1 end
  redis.call('HSET', fan, 'r', h.r, 'k', h.k, 'b', h.b)
  settle_fan(run, rid, fan, h, failed, not failed, '', at)
  if h.s == 0 and (tonumber(v[7]) < h.n or redis.call('LLEN', fan .. ':again') > 0) then
    local lane = redis.call('LPOP', fan .. ':idle')
    if lane then wake(run, rid, epath .. '#' .. lane, at) end
  end
end

-- Give the free places of a limit to those that have waited longest, and ring at their workers. A token begins with its
-- worker's id and a bar. Returns those that are not rung at, since they hear of it otherwise: the token or the worker `own`.
local function call_next(limit, most, own)
  local held, line, heard = P .. ':held:' .. limit, P .. ':line:' .. limit, {}
  local free = most - redis.call('HLEN', held)
  while free > 0 do
    local token = redis.call('ZPOPMIN', line)[1]
    if not token then break end
    redis.call('HSET', held, token, most)
    local worker = string.match(token, '^[^|]+')
    if token == own or worker == own then heard[#heard + 1] = token
    else redis.call('RPUSH', P .. ':called:' .. worker, token) end
    free = free - 1
  end
  return heard
end

-- A worker is gone: everything that it held or waited for at limits goes to others.
local function vacate(worker)
  local places, freed = P .. ':places:' .. worker, {}
  local taken = redis.call('HGETALL', places)
  for i = 1, #taken, 2 do
    local token, limit = taken[i], taken[i + 1]
    redis.call('ZREM', P .. ':line:' .. limit, token)
    freed[limit] = redis.call('HGET', P .. ':held:' .. limit, token) or freed[limit]
    redis.call('HDEL', P .. ':held:' .. limit, token)
  end
  for limit, most in pairs(freed) do call_next(limit, tonumber(most), '') end
  redis.call('UNLINK', places, P .. ':called:' .. worker)
end
