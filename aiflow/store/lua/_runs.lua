-- Whole runs: how they begin, wait in their gate, end, and what their end moves besides. Put behind `_lib` in the scripts
-- that ask for it; `runs()` makes it.
-- A gate lets `limit` runs of one workflow (and key) be at work: `gate` holds those, by order of admission, `gate:q` those
-- that wait, by order of arrival. Whoever ends a run opens its gate in the same script.
function runs()
  local M = {}

  local function hash(rid) return P .. ':run:{' .. rid .. '}' end

  local function gate_key(name) return P .. ':gate:' .. name end

  local function next_number() return text(redis.call('INCR', P .. ':seq')) end

  local function note(run, line) redis.call('RPUSH', run .. ':log', line) end

  -- Take a start of the run's `throttle`: ms of its turn, 0 for at once. A turn that lies ahead is taken now, so turns keep their order.
  local function turn(run)
    local given = redis.call('HGET', run, 'T')
    if not given then return 0 end
    local interval, burst, name = string.match(given, '^(%S+) (%S+) (.*)$')
    interval = tonumber(interval)
    local at = now_us()
    local limit = P .. ':limit:' .. name
    local tat = math.max(tonumber(redis.call('GET', limit) or '0'), at)
    redis.call('SET', limit, text(tat + interval), 'PX', text(math.ceil((tat + interval - at) / 1000) + 1000))
    local due = tat - interval * (tonumber(burst) - 1)
    return due > at and math.ceil(due / 1000) or 0
  end

  -- The run has its place: it begins, or waits for its turn. `ta`: when it was let in, if that was not at once.
  local function admit(run, rid, at, waited)
    local due = turn(run)
    if due > 0 or waited then redis.call('HSETNX', run, 'ta', text(due > 0 and due or at)) end
    if redis.call('HEXISTS', run, 'ra') == 1 then redis.call('HSET', run, 'ra', text(due > 0 and due or at)) end
    if due == 0 then wake(run, rid, '', at)
    else redis.call('ZADD', P .. ':timers', text(due), rid .. '|') end
  end

  -- Take places from runs that are no more (their keys were deleted by hand).
  local function sweep(gate)
    for _, rid in ipairs(redis.call('ZRANGE', gate, 0, 19)) do
      if not is_open(redis.call('HGET', hash(rid), 'st')) then redis.call('ZREM', gate, rid) end
    end
  end

  -- Let those in who wait, as long as there is room under the limit that each of them brought.
  function M.open_gate(name, at)
    local gate = gate_key(name)
    while true do
      local rid = redis.call('ZRANGE', gate .. ':q', 0, 0)[1]
      if not rid then
        redis.call('SREM', P .. ':crowded', name)
        return
      end
      local v = redis.call('HMGET', hash(rid), 'st', 'gl')
      if v[1] ~= 'queued' then
        redis.call('ZREM', gate .. ':q', rid)
      else
        if redis.call('ZCARD', gate) >= tonumber(v[2]) then return end
        redis.call('ZREM', gate .. ':q', rid)
        redis.call('ZADD', gate, next_number(), rid)
        admit(hash(rid), rid, at, true)
      end
    end
  end

  -- A place that is held by a run that is no more is free.
  function M.mend_gate(name, at)
    sweep(gate_key(name))
    M.open_gate(name, at)
  end

  -- Come to the gate: "ok" when the run was let in, "queue" when it waits, else what is to happen to it: "skip", "fail".
  local function enter(run, rid, at, overflow)
    local v = redis.call('HMGET', run, 'G', 'gl')
    if not v[1] then
      admit(run, rid, at, false)
      return 'ok'
    end
    local gate, limit = gate_key(v[1]), tonumber(v[2])
    if redis.call('ZCARD', gate) >= limit then sweep(gate) end
    if overflow == 'replace' then
      while redis.call('ZCARD', gate) >= limit do
        local oldest = redis.call('ZRANGE', gate, 0, 0)[1]
        redis.call('ZREM', gate, oldest)  -- first: its place is taken, so its end opens the gate to nobody
        M.cancel(hash(oldest), oldest, 'replaced by run ' .. rid .. ' (concurrency)', at)
      end
    elseif redis.call('ZCARD', gate) >= limit or redis.call('EXISTS', gate .. ':q') == 1 then
      if overflow ~= 'queue' then return overflow end
      redis.call('ZADD', gate .. ':q', next_number(), rid)
      redis.call('SADD', P .. ':crowded', v[1])
      return 'queue'
    end
    redis.call('ZADD', gate, next_number(), rid)
    admit(run, rid, at, false)
    return 'ok'
  end

  -- What is left of a run that never began.
  local function turned_away(run, rid, status, why, at, keep)
    redis.call('HSET', run, 'st', status, 't2', at)
    redis.call('ZREM', P .. ':open', rid)
    if status == 'failed' then
      redis.call('HSET', run, 'err', '{"type":"concurrency","message":' .. cjson.encode(why) .. ',"step":"","data":{},"attempts":1,"index":null,"transient":false}')
      redis.call('ZADD', P .. ':dead', at, rid)
    end
    note(run, '{"at":' .. text(at) .. ',"event":"run_' .. status .. '","path":"","type":"concurrency","reason":' .. cjson.encode(why)
      .. ',"message":' .. cjson.encode(why) .. '}')
    redis.call('PEXPIRE', run, keep)
    redis.call('PEXPIRE', run .. ':log', keep)
  end

  -- Bring a new run to its gate. ARGV[i...]: gate, limit, overflow, why it may be turned away, throttle, retention ms.
  -- `caller`: `run|path` of the frame that waits for it, or nil.
  function M.bring(run, rid, i, caller, at)
    if caller then redis.call('HSET', run, 'pr', caller, 'L', 1, 'rt', ARGV[i + 5]) end
    if ARGV[i + 4] ~= '' then redis.call('HSET', run, 'T', ARGV[i + 4]) end
    if ARGV[i] ~= '' then redis.call('HSET', run, 'G', ARGV[i], 'gl', ARGV[i + 1], 'L', 1, 'rt', ARGV[i + 5]) end
    local how = enter(run, rid, at, ARGV[i + 2])
    if how == 'skip' then turned_away(run, rid, 'skipped', ARGV[i + 3], at, ARGV[i + 5])
    elseif how == 'fail' then turned_away(run, rid, 'failed', ARGV[i + 3], at, ARGV[i + 5]) end
  end

  -- Open a run again that failed or was cancelled. Claims of the time before are void: whoever still works under one writes nothing.
  function M.retry(run, rid, line, at)
    void(run, rid, '')
    for _, key in ipairs(redis.call('SMEMBERS', run .. ':keys')) do
      local path = frame_path(run, key)
      if path then void(run, rid, path) end
      redis.call('PERSIST', key)
    end
    redis.call('HSET', run, 'st', 'queued', 'n', 0, 'd', 0, 'q', 0, 'm', '')
    redis.call('HINCRBY', run, 'g', 1)
    redis.call('HSET', run, 'ra', at)
    redis.call('HDEL', run, 't2', 'out', 'err', 'cl', 'ca')
    for _, key in ipairs({ run .. ':keys', run, run .. ':res', run .. ':log' }) do redis.call('PERSIST', key) end
    redis.call('ZADD', P .. ':open', redis.call('HGET', run, 't0'), rid)
    redis.call('ZREM', P .. ':dead', rid)
    redis.call('ZREM', P .. ':cancels', rid)
    note(run, line)
    enter(run, rid, at, 'queue')
  end

  -- A frame gives up the run that it waits for: that one is cancelled.
  function M.hang_up(run, rid, path, at)
    local child = redis.call('HGET', frame_key(run, path), 'k')
    if not child then return end
    redis.call('HDEL', frame_key(run, path), 'k')
    redis.call('SREM', run .. ':kids', path)
    local st = redis.call('HGET', run, 'st')
    local what = is_open(st) and 'gave it up' or st == 'cancelled' and 'was cancelled' or 'has ended'
    M.cancel(hash(child), child, 'run ' .. rid .. ', which had called it, ' .. what, at)
  end

  -- The same for all frames of a run whose path begins so.
  function M.hang_up_below(run, rid, prefix, at)
    for _, path in ipairs(redis.call('SMEMBERS', run .. ':kids')) do
      if string.sub(path, 1, #prefix) == prefix then M.hang_up(run, rid, path, at) end
    end
  end

  -- A frame with `k` goes on in another way.
  function M.moved_on(run, frame, at) M.hang_up(run, run_id(run), frame_path(run, frame) or '', at) end

  -- A fan-out is given up: so are the runs that its items called.
  function M.give_up_items(run, rid, fan, at) M.hang_up_below(run, rid, string.sub(fan, #run + 4) .. '[', at) end

  -- A run with ties (`L`) has ended: runs that it called end with it, its gate opens, the frame that called it goes on.
  -- A caller that is claimed just now looks for itself; see `call`.
  function M.ended(run, rid, at)
    M.hang_up_below(run, rid, '', at)
    local v = redis.call('HMGET', run, 'G', 'pr')
    if v[1] and redis.call('ZREM', gate_key(v[1]), rid) + redis.call('ZREM', gate_key(v[1]) .. ':q', rid) > 0 then
      M.open_gate(v[1], at)
    end
    if v[2] then
      local above, path = string.match(v[2], '^(.-)|(.*)$')
      local caller = redis.call('HMGET', frame_key(hash(above), path), 'k', 'w')
      if caller[1] == rid and not caller[2] and is_open(redis.call('HGET', hash(above), 'st')) then wake(hash(above), above, path, at) end
    end
  end

  -- Leave off an open run at once, but for its `finally`: the root goes on there, and everything else is void. A retry of the run
  -- goes on where it was (`at` in the root's cursor).
  local function close(run, rid, reason, at)
    redis.call('HSET', run, 'cl', 1)
    M.hang_up_below(run, rid, '', at)
    void(run, rid, '')
    void_below(run, rid, '', '')
    announce(rid .. '||' .. (redis.call('HGET', run, 'ec') or '0'), at)
    local cursor = '{"l":"finally","s":[[0,null,null]],"x":{"status":"cancelled","error":{"type":"cancelled","message":' .. cjson.encode(reason)
      .. ',"step":"","data":{},"attempts":1,"index":null,"transient":false},"at":' .. cjson.encode(redis.call('HGET', run, 'c') or '') .. '}}'
    redis.call('HSET', run, 'c', cursor, 'n', 0, 'd', 0, 'm', '')
    redis.call('HINCRBY', run, 'q', 1)
    note(run, '{"at":' .. text(at) .. ',"event":"run_closing","reason":' .. cjson.encode(reason) .. '}')
    wake(run, rid, '', at)
  end

  -- End an open run, wherever it is; one that has a `finally` and has begun ends with that, unless it is cancelled twice. `keep`: ms that the rest is kept, if not as it was started with. Workers hear of it at their
  -- next write, or from `cancels`.
  function M.cancel(run, rid, reason, at, keep)
    local v = redis.call('HMGET', run, 'st', 'rt', 'L', 'fin', 'cl')
    if not is_open(v[1]) then return end
    if v[4] and not v[5] and v[1] ~= 'queued' then return close(run, rid, reason, at) end
    keep = keep or v[2]
    redis.call('HSET', run, 'st', 'cancelled', 't2', at, 'err', '{"type":"cancelled","message":' .. cjson.encode(reason) .. '}', 'n', 0)
    redis.call('ZREM', P .. ':open', rid)
    still(run, rid, '')
    announce(rid, at)
    note(run, '{"at":' .. text(at) .. ',"event":"run_cancelled","reason":' .. cjson.encode(reason) .. '}')
    for _, key in ipairs(redis.call('SMEMBERS', run .. ':keys')) do
      local path = frame_path(run, key)
      if path then still(run, rid, path) end
      redis.call('PEXPIRE', key, keep)
    end
    for _, key in ipairs({ run .. ':keys', run, run .. ':res', run .. ':log' }) do redis.call('PEXPIRE', key, keep) end
    if v[3] then M.ended(run, rid, at) end
  end

  return M
end

-- Make a run. ARGV[i...]: workflow, version, inputs, meta, environment, then those of `bring`, and whether it has a `finally`.
-- `caller`: as there.
local function make_run(run, rid, i, caller, at)
  redis.call('HSET', run, 'st', 'queued', 'wf', ARGV[i], 'v', ARGV[i + 1], 'in', ARGV[i + 2], 't0', at, 'n', 0)
  if ARGV[i + 3] ~= '' then redis.call('HSET', run, 'meta', ARGV[i + 3]) end
  if ARGV[i + 4] ~= '' then redis.call('HSET', run, 'E0', ARGV[i + 4]) end
  redis.call('ZADD', P .. ':open', at, rid)
  redis.call('ZADD', P .. ':runs', at, rid)
  if ARGV[i + 11] == '1' then redis.call('HSET', run, 'fin', 1) end
  if caller or ARGV[i + 5] ~= '' or ARGV[i + 9] ~= '' then runs().bring(run, rid, i + 5, caller, at)
  else wake(run, rid, '', at) end
end
