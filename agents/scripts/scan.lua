-- Reads whole pending buckets, until there are enough entries or bytes. From the last to the first:
-- where what is seen is removed, the last one is merged into one that is still to come.
-- KEYS: meta, start of the bucket keys.
-- ARGV: buckets that are left, 0 for all; most buckets, enough entries, enough bytes, owner or ''.
-- Returns {buckets left; one string of hash (8 bytes), length (4 bytes) and value of each entry};
-- nothing where another owns the partition.
if ARGV[5] ~= '' and redis.call('HGET', KEYS[1], 'owner') ~= ARGV[5] then return false end
local known, left = buckets(KEYS[1], KEYS[2]), tonumber(ARGV[1])
if left == 0 or left > known.n then left = known.n end
local stop = math.max(0, left - tonumber(ARGV[2]))
local enough, most, found, size = tonumber(ARGV[3]), tonumber(ARGV[4]), {}, 0
while left > stop and #found < enough and size < most do
  left = left - 1
  local entries = redis.call('HGETALL', KEYS[2] .. left)
  for i = 1, #entries, 2 do
    local value = entries[i + 1]
    found[#found + 1] = entries[i] .. struct.pack('>I4', #value) .. value
    size = size + #value
  end
end
return {left, table.concat(found)}
