"""The steps that must be one for everybody else, in Lua. Every time in them is the server's, in microseconds."""

from typing import Final

_NOW: Final = """
    local time = redis.call('TIME')
    local now_us = time[1] * 1000000 + time[2]
    local function whole(number) return string.format('%.0f', number) end
"""

# KEYS: epoch. ARGV: the epoch that the caller knows, a new one, life of sessions, life of ledgers (both ms), number of
# sessions, of forgotten ones, of ledgers; then for each session its key, permit, id, sequence and text; for each
# forgotten one its key and permit; for each ledger its key, the key of the ages, the index, its name in there, its
# session, when that was opened, its text and how many to keep, which is 0 while it is not ended.
SAVE: Final = """
    local epoch = redis.call('GET', KEYS[1])
    if epoch ~= ARGV[1] then
        if not epoch then
            epoch = ARGV[2]
            redis.call('SET', KEYS[1], epoch, 'PX', ARGV[3])
        end
        return {epoch}
    end
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    local at, newer, stays = 8, {epoch}, {}
    for _ = 1, ARGV[5] do
        local key, permit, id, seq, text = unpack(ARGV, at, at + 4)
        at = at + 5
        local known = redis.call('HMGET', key, 'permit', 'id', 'seq')
        local known_permit, known_seq = tonumber(known[1] or -1), tonumber(known[3] or -1)
        if known_permit > tonumber(permit)
            or (known_permit == tonumber(permit) and known[2] == id and known_seq > tonumber(seq)) then
            newer[#newer + 1] = key
            stays[key] = true
        else
            redis.call('HSET', key, 'permit', permit, 'id', id, 'seq', seq, 'text', text)
            redis.call('PEXPIRE', key, ARGV[3])
        end
    end
    for _ = 1, ARGV[6] do
        local known_permit = redis.call('HGET', ARGV[at], 'permit')
        if known_permit and tonumber(known_permit) <= tonumber(ARGV[at + 1]) then redis.call('DEL', ARGV[at]) end
        at = at + 2
    end
    for _ = 1, ARGV[7] do
        local key, ages, index, name, session, opened_at, text, kept, of = unpack(ARGV, at, at + 8)
        at = at + 9
        if kept ~= '0' or not stays[of] then
            redis.call('HSET', key, session, text)
            redis.call('ZADD', ages, opened_at, session)
            redis.call('SADD', index, name)
        end
        if kept ~= '0' then
            for _, old in ipairs(redis.call('ZRANGE', ages, 0, -kept - 1)) do
                redis.call('HDEL', key, old)
                redis.call('ZREM', ages, old)
            end
        end
        for _, each in ipairs({key, ages, index}) do redis.call('PEXPIRE', each, ARGV[4]) end
    end
    return newer
"""

# KEYS: identifies. ARGV: the highest number that the caller knows.
IDENTIFIES: Final = (
    _NOW
    + """
    return {whole(now_us), redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf')}
"""
)

# KEYS: identifies, permits. ARGV: shard, shard count, max_concurrency, the highest number that the caller knows, for
# how long the key is taken (us), life of a record (ms), how many are kept.
TAKE: Final = (
    _NOW
    + """
    local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
    local known = math.max(tonumber(last or 0), tonumber(ARGV[4]))
    if known > tonumber(ARGV[4]) then return {'outdated'} end
    local held_us = tonumber(ARGV[5])
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', whole(now_us))
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '(' .. whole(now_us + held_us), '+inf')  -- the clock was set back
    local taken, free_at = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES'), 0
    for i = 1, #taken, 2 do
        local shard = tonumber(string.match(taken[i], '^%d+'))
        if shard % ARGV[3] == ARGV[1] % ARGV[3] then free_at = math.max(free_at, tonumber(taken[i + 1])) end
    end
    if free_at > 0 then return {'busy', whole(free_at - now_us)} end
    local number = whole(math.max(known + 1, now_us))
    redis.call('ZADD', KEYS[1], number, ARGV[1] .. ':' .. ARGV[2] .. ':' .. number)
    redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -ARGV[7] - 1)
    redis.call('PEXPIRE', KEYS[1], ARGV[6])
    redis.call('ZADD', KEYS[2], whole(now_us + held_us), ARGV[1] .. ':' .. number)
    redis.call('PEXPIRE', KEYS[2], held_us / 1000)
    return {'taken', number}
"""
)

# KEYS: permits. ARGV: shard and number of the permit, spacing (us), for how long a key may be taken (ms).
USED: Final = (
    _NOW
    + """
    redis.call('ZADD', KEYS[1], whole(now_us + ARGV[2]), ARGV[1])
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
"""
)

# KEYS: those of some shards. ARGV: the owner, life of a claim (ms). Takes all of them, or tells which others have.
CLAIM: Final = """
    local taken = {}
    for _, key in ipairs(KEYS) do
        local owner = redis.call('GET', key)
        if owner and owner ~= ARGV[1] then taken[#taken + 1] = key end
    end
    if #taken == 0 then
        for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1], 'PX', ARGV[2]) end
    end
    return taken
"""

# KEYS: those of some shards. ARGV: the owner, life of a claim (ms). Another's claim is left alone.
RENEW_CLAIMS: Final = """
    for _, key in ipairs(KEYS) do
        local owner = redis.call('GET', key)
        if not owner or owner == ARGV[1] then redis.call('SET', key, ARGV[1], 'PX', ARGV[2]) end
    end
"""

# KEYS: those of some shards. ARGV: the owner.
RELEASE_CLAIMS: Final = """
    for _, key in ipairs(KEYS) do
        if redis.call('GET', key) == ARGV[1] then redis.call('DEL', key) end
    end
"""
