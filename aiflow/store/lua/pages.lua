#!lua flags=allow-oom
-- pages: put the items of a fan-out beside it before it starts. Sent in parts, the first one clears what was there.
-- KEYS ns, run, fence, fan
-- ARGV epoch, first part (1/0), pages, (number, page)*, items to do again so far, indexes of items to do again*
-- Returns now | "fenced" | "gone"
local run, fan = KEYS[2], KEYS[4]
local refused = refuse(run, KEYS[3], ARGV[1])
if refused then return refused end
local again = fan .. ':again'
if ARGV[2] == '1' then
  redis.call('DEL', again)
  redis.call('SADD', run .. ':keys', fan, again)
end
local i = 4
for _ = 1, tonumber(ARGV[3]) do
  redis.call('HSET', fan, 'p' .. ARGV[i], ARGV[i + 1])
  i = i + 2
end
if #ARGV > i and redis.call('LLEN', again) == tonumber(ARGV[i]) then redis.call('RPUSH', again, unpack(ARGV, i + 1)) end
return now()
