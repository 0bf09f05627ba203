-- Who made which checkpoints of a partition. Changes nothing.
-- KEYS: meta, claims. ARGV: owners.
-- `claims` holds the owners by the first checkpoint of each; the next one's first ends its span.
-- Returns {seq, 1 while a redo record waits to be applied, first checkpoint that is remembered, owner
-- now, then of each owner asked for its first and last checkpoint and 1 if nobody made one after it;
-- 0, 0, 0 for one that made none}.
local m = redis.call('HMGET', KEYS[1], 'seq', 'redo', 'remembered', 'owner')
local seq = tonumber(m[1] or '0')
local found = {seq, m[2] and 1 or 0, tonumber(m[3] or '0'), m[4] or ''}
for i = 1, #ARGV do
  local first, last, newest = redis.call('ZSCORE', KEYS[2], ARGV[i]), 0, 0
  if first then
    local later = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. first, '+inf', 'LIMIT', 0, 1)[1]
    newest = later and 0 or 1
    last = later and tonumber(redis.call('ZSCORE', KEYS[2], later)) - 1 or seq
  end
  found[#found + 1], found[#found + 2], found[#found + 3] = tonumber(first or '0'), last, newest
end
return found
