#!lua flags=allow-oom
-- throttle: take one start from a rate limit shared by all workers (generic cell rate algorithm).
-- KEYS ns, limit   ARGV interval in microseconds between starts, burst
-- Returns microseconds to wait before asking again, 0 when the start is granted
local at = now_us()
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local tat = math.max(tonumber(redis.call('GET', KEYS[2]) or '0'), at)
local allowed = tat - interval * burst + interval
if allowed > at then return text(allowed - at) end
redis.call('SET', KEYS[2], text(tat + interval), 'PX', math.ceil(interval * (burst + 1) / 1000) + 1000)
return '0'
