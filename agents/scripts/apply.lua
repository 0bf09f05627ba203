-- Applies one chunk of the redo record, if that record is still the current one, and drops the chunk.
-- Anyone may do it, any number of times: values are absolute, and a chunk that is gone was applied.
-- KEYS: meta, redo chunks, state, start of the bucket keys. ARGV: id, number of the chunk, buckets.
-- The bucket keys are made here: they carry the hash tag of KEYS, so they lie in the same slot.
-- A bucket is the top bits of the 8-byte hash: the low ones chose the partition and are all alike.
if redis.call('HGET', KEYS[1], 'redo') ~= ARGV[1] then return 'past' end
local chunk = redis.call('HGET', KEYS[2], ARGV[2])
if not chunk then return 'ok' end
local kind, n, m, at = struct.unpack('>cI4I4', chunk)
local puts, deletes = {}, {}
for i = 1, n do puts[i], at = struct.unpack('>I4c0', chunk, at) end
for i = 1, m do deletes[i], at = struct.unpack('>I4c0', chunk, at) end
if kind == 's' then
  if #puts > 0 then redis.call('HSET', KEYS[3], unpack(puts)) end
  if #deletes > 0 then redis.call('HDEL', KEYS[3], unpack(deletes)) end
else
  local added = 0
  local byte, width = string.byte, 65536 / tonumber(ARGV[3])
  for i = 1, #puts, 2 do
    local a, b = byte(puts[i], 1, 2)
    local bucket = KEYS[4] .. math.floor((a * 256 + b) / width)
    added = added + redis.call('HSET', bucket, puts[i], puts[i + 1])
  end
  for i = 1, #deletes do
    local a, b = byte(deletes[i], 1, 2)
    local bucket = KEYS[4] .. math.floor((a * 256 + b) / width)
    added = added - redis.call('HDEL', bucket, deletes[i])
  end
  if added ~= 0 then redis.call('HINCRBY', KEYS[1], 'pending', added) end
end
redis.call('HDEL', KEYS[2], ARGV[2])
return 'ok'
