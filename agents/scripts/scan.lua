-- Reads whole pending buckets from one on, until there are enough entries or bytes.
-- KEYS: meta, start of the bucket keys. ARGV: first bucket, most buckets, enough entries, bytes,
-- owner or '' for one who only looks.
-- Returns {next bucket, 0 after the last; one string of hash (8 bytes), length (4) and value each},
-- nothing where another owns the partition.
if ARGV[5] ~= '' and redis.call('HGET', KEYS[1], 'owner') ~= ARGV[5] then return false end
local known, bucket = buckets(KEYS[1], KEYS[2]), tonumber(ARGV[1])
local stop = math.min(known.n, bucket + tonumber(ARGV[2]))
local enough, most, found, size = tonumber(ARGV[3]), tonumber(ARGV[4]), {}, 0
while bucket < stop and #found < enough and size < most do
  local entries = redis.call('HGETALL', KEYS[2] .. bucket)
  for i = 1, #entries, 2 do
    local value = entries[i + 1]
    found[#found + 1] = entries[i] .. struct.pack('>I4', #value) .. value
    size = size + #value
  end
  bucket = bucket + 1
end
if bucket >= known.n then bucket = 0 end
return {bucket, table.concat(found)}
