#!lua flags=allow-oom
-- reap: make the frames of workers ready again whose lease has ended, or that are known to be dead; free their places at limits.
-- After a gap between two beats (Redis was away, all workers were away) nobody's lease ends for one lease time.
-- KEYS ns          ARGV batch, lease ms, worker known to be dead ('' for none), graceful (1: it left by itself, no death is counted)
-- Returns {frames, now, workers}
local at = now()
local lease = tonumber(ARGV[2])
local gone
if ARGV[3] ~= '' then
  gone = { ARGV[3] }
else
  local pulse = tonumber(redis.call('GET', P .. ':pulse') or '0')
  if pulse > 0 and at - pulse > lease / 2 then redis.call('SET', P .. ':grace', text(at + lease), 'PX', lease * 2) end
  redis.call('SET', P .. ':pulse', text(at))
  if tonumber(redis.call('GET', P .. ':grace') or '0') > at then return { 0, at, 0 } end
  gone = redis.call('ZRANGEBYSCORE', P .. ':workers', '-inf', at, 'LIMIT', 0, 8)
end
local moved, batch = 0, tonumber(ARGV[1])
for _, worker in ipairs(gone) do
  local set = P .. ':worker:' .. worker
  redis.call('ZREM', P .. ':workers', worker)
  vacate(worker)
  local names = redis.call('SRANDMEMBER', set, batch)
  for _, name in ipairs(names) do
    redis.call('SREM', set, name)
    local bar = string.find(name, '|', 1, true)
    local rid, path = string.sub(name, 1, bar - 1), string.sub(name, bar + 1)
    local run = P .. ':run:{' .. rid .. '}'
    local frame = frame_key(run, path)
    if is_open(redis.call('HGET', run, 'st')) and redis.call('HGET', frame, 'w') == worker then
      if ARGV[4] ~= '1' then
        if redis.call('HDEL', frame, 'z') == 0 then redis.call('HINCRBY', frame, 'd', 1) end
        redis.call('RPUSH', run .. ':log', '{"at":' .. text(at) .. ',"event":"worker_lost","path":' .. cjson.encode(path)
          .. ',"worker":' .. cjson.encode(worker) .. '}')
      end
      wake(run, rid, path, at)
      redis.call('HDEL', frame, 'w', 'o')
      moved = moved + 1
    end
  end
  if redis.call('SCARD', set) == 0 then
    redis.call('HDEL', P .. ':workerinfo', worker)
  else
    redis.call('ZADD', P .. ':workers', 1, worker)
  end
end
return { moved, at, #gone }
