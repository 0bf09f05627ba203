-- Applies one chunk of the redo record, if that record is still the current one, and drops the chunk.
-- Anyone may do it, any number of times: values are absolute, and a chunk that is gone was applied.
-- KEYS: meta, redo chunks, state, start of the bucket keys.
-- ARGV: id, number of the chunk, entries a bucket, most buckets to split or merge.
-- A chunk of kind 'e' has n entries of m bytes, each after its 8-byte hash.
if redis.call('HGET', KEYS[1], 'redo') ~= ARGV[1] then return 'past' end
local chunk = redis.call('HGET', KEYS[2], ARGV[2])
if not chunk then return 'ok' end
local kind, n, m, at = struct.unpack('>cI4I4', chunk)
local puts, deletes = {}, {}
if kind == 'e' then
  for i = 1, 2 * n, 2 do
    puts[i], puts[i + 1] = string.sub(chunk, at, at + 7), string.sub(chunk, at + 8, at + 7 + m)
    at = at + 8 + m
  end
else
  for i = 1, n do puts[i], at = struct.unpack('>I4c0', chunk, at) end
  for i = 1, m do deletes[i], at = struct.unpack('>I4c0', chunk, at) end
end
if kind == 's' then
  if #puts > 0 then redis.call('HSET', KEYS[3], unpack(puts)) end
  if #deletes > 0 then redis.call('HDEL', KEYS[3], unpack(deletes)) end
else
  local known, added, call = buckets(KEYS[1], KEYS[4]), 0, redis.call
  for i = 1, #puts, 2 do
    added = added + call('HSET', known:key(puts[i]), puts[i], puts[i + 1])
  end
  for i = 1, #deletes do
    added = added - call('HDEL', known:key(deletes[i]), deletes[i])
  end
  local count = call('HINCRBY', KEYS[1], 'pending', added)
  known:follow(count, tonumber(ARGV[3]), tonumber(ARGV[4]))
end
redis.call('HDEL', KEYS[2], ARGV[2])
return 'ok'
