-- Removes messages [first, stop) from the head of the outbox; again is harmless, a hole is refused.
-- KEYS: meta, outbox, start of the keys of bodies. ARGV: owner, first, stop.
-- Returns {'ok' | 'epoch' | 'order', head}.
local m = redis.call('HMGET', KEYS[1], 'owner', 'head', 'tail')
local head, tail = tonumber(m[2] or '0'), tonumber(m[3] or '0')
local first, stop = tonumber(ARGV[2]), tonumber(ARGV[3])
if m[1] ~= ARGV[1] then return {'epoch', head} end
if first > head or stop > tail then return {'order', head} end
if stop > head then
  head = stop
  redis.call('HSET', KEYS[1], 'head', string.format('%.0f', head))
end
local entry = redis.call('LINDEX', KEYS[2], 0)
while entry do
  local from, count, id, body = string.match(entry, '(%d+) (%d+) (%S+) (%d+)')
  if tonumber(from) + tonumber(count) > head then break end
  redis.call('LPOP', KEYS[2])
  redis.call('HDEL', KEYS[3] .. id, body)
  entry = redis.call('LINDEX', KEYS[2], 0)
end
return {'ok', head}
