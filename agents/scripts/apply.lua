-- Applies one chunk of the redo record, if that record is still the current one, and drops the chunk.
-- Anyone may do it, any number of times: values are absolute, and a chunk that is gone was applied.
-- KEYS: meta, redo chunks, state, start of the bucket keys.
-- ARGV: id, number of the chunk, entries a bucket, most buckets to split or merge.
-- A chunk of kind 'e' has n entries of m bytes, each after its 8-byte hash; those of one bucket lie
-- one behind the other as far as the writer can tell, and are written together.
if redis.call('HGET', KEYS[1], 'redo') ~= ARGV[1] then return 'past' end
local chunk = redis.call('HGET', KEYS[2], ARGV[2])
if not chunk then return 'ok' end
local kind, n, m, at = struct.unpack('>cI4I4', chunk)
local known, added, call = nil, 0, redis.call
if kind ~= 's' then known = buckets(KEYS[1], KEYS[4]) end
if kind == 'e' then
  local sub, bucket, some, size = string.sub, nil, {}, 0
  for _ = 1, n do
    local hash = sub(chunk, at, at + 7)
    local place = known:place(hash)
    if place ~= bucket then
      if size > 0 then added = added + call('HSET', KEYS[4] .. bucket, unpack(some, 1, size)) end
      bucket, size = place, 0
    end
    some[size + 1], some[size + 2] = hash, sub(chunk, at + 8, at + 7 + m)
    size, at = size + 2, at + 8 + m
  end
  if size > 0 then added = added + call('HSET', KEYS[4] .. bucket, unpack(some, 1, size)) end
else
  local puts, deletes = {}, {}
  for i = 1, n do puts[i], at = struct.unpack('>I4c0', chunk, at) end
  for i = 1, m do deletes[i], at = struct.unpack('>I4c0', chunk, at) end
  if kind == 's' then
    if #puts > 0 then call('HSET', KEYS[3], unpack(puts)) end
    if #deletes > 0 then call('HDEL', KEYS[3], unpack(deletes)) end
  else
    for i = 1, #puts, 2 do
      added = added + call('HSET', known:key(puts[i]), puts[i], puts[i + 1])
    end
    for i = 1, #deletes do
      added = added - call('HDEL', known:key(deletes[i]), deletes[i])
    end
  end
end
if known then
  local count = call('HINCRBY', KEYS[1], 'pending', added)
  known:follow(count, tonumber(ARGV[3]), tonumber(ARGV[4]))
end
call('HDEL', KEYS[2], ARGV[2])
return 'ok'
