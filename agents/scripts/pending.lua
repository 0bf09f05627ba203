-- Looks up pending entries by their 8-byte big-endian hashes, concatenated in one argument.
-- KEYS: start of the bucket keys. ARGV: buckets, hashes. Returns a value or nil for each.
local found, byte, width = {}, string.byte, 65536 / tonumber(ARGV[1])
for i = 1, #ARGV[2], 8 do
  local a, b = byte(ARGV[2], i, i + 1)
  local bucket = KEYS[1] .. math.floor((a * 256 + b) / width)
  found[#found + 1] = redis.call('HGET', bucket, string.sub(ARGV[2], i, i + 7))
end
return found
