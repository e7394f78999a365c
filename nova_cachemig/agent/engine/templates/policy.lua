
-- Finds what the policy of a service says about a request: nova_cachemig/model/policy.py.
-- The agent renders the first line, which defines the path of the map.

local policies = Map.new(POLICIES_MAP, Map._str)
local by_service = {}  -- service -> the entry of the map, and its policy
local by_name = setmetatable({}, {__mode = "v"})  -- many services have the same policy

local function unquote(text)
    return (text:gsub("%%(%x%x)", function(code) return string.char(tonumber(code, 16)) end))
end

-- A glob: its first and last part, and those between.
local function compile_glob(text)
    local parts = {}
    for part in (text .. "*"):gmatch("([^*]*)%*") do
        parts[#parts + 1] = part
    end
    local glob = {query = text:find("?", 1, true) ~= nil, first = table.remove(parts, 1)}
    glob.last = table.remove(parts)
    glob.middle = parts
    return glob
end

local function matches(glob, text)
    local first, last = glob.first, glob.last
    if last == nil then
        return text == first
    end
    local at, stop = #first + 1, #text - #last
    if stop < #first or text:sub(1, #first) ~= first then
        return false
    end
    if text:sub(stop + 1) ~= last then
        return false
    end
    for _, part in ipairs(glob.middle) do
        local from, to = text:find(part, at, true)
        if from == nil or to > stop then
            return false
        end
        at = to + 1
    end
    return true
end

local function any(globs, text)
    for _, glob in ipairs(globs) do
        if matches(glob, text) then
            return true
        end
    end
    return false
end

-- ``rule``: the number of the rule that has the list.
local function globs_of(field, rule)
    local globs = {rule = rule}
    for text in field:gmatch("%S+") do
        globs[#globs + 1] = compile_glob(text)
    end
    return globs
end

local FLAGS = {["1"] = true, ["0"] = false}

local function compile(text)
    local policy = {}
    for line in text:gmatch("[^\n]+") do
        local fields = {}
        for field in (line .. "\t"):gmatch("([^\t]*)\t") do
            fields[#fields + 1] = field
        end
        local number = #policy + 1
        policy.private = policy.private or FLAGS[fields[10]]
        policy[number] = {
            number = number,
            paths = globs_of(fields[1]),
            never = FLAGS[fields[2]], static = FLAGS[fields[3]], stale = FLAGS[fields[4]],
            logins = globs_of(fields[5], number), scripts = globs_of(fields[6], number),
            ignored = globs_of(fields[7], number), neutral = globs_of(fields[8], number),
            identifying = globs_of(fields[9], number),
            private = FLAGS[fields[10]], sessions = globs_of(fields[11], number),
        }
    end
    return policy
end

local function read(entry)
    local name, chunks = entry:match("^(%x+):(%d+)$")
    local policy = by_name[name]
    if policy == nil then
        local text = {}
        for number = 1, tonumber(chunks) do
            text[number] = policies:lookup(name .. ":" .. number)
            if text[number] == nil then  -- the agent is replacing it
                return nil
            end
        end
        policy = compile(unquote(table.concat(text)))
        by_name[name] = policy
    end
    return policy
end

-- Until a policy can be read, nothing is stored.
local UNKNOWN = compile("\t1\t\t\t\t\t\t\t\t\t")

local function policy_of(service)
    local entry = policies:lookup(service)
    if entry == nil then
        return nil
    end
    local known = by_service[service]
    if known == nil or known.entry ~= entry then
        local policy = read(entry)
        if policy == nil then
            return UNKNOWN
        end
        known = {entry = entry, policy = policy}
        by_service[service] = known
    end
    return known.policy
end

local function applies(rule, url, path)
    if #rule.paths == 0 then
        return true
    end
    for _, glob in ipairs(rule.paths) do
        if matches(glob, glob.query and url or path) then
            return true
        end
    end
    return false
end

local LISTS = {"logins", "scripts", "ignored", "neutral", "identifying"}

-- ``by``: the rule that decides a field. ``used``: the rules whose lists have matched.
local function nothing_found()
    return {logins = {}, scripts = {}, ignored = {}, neutral = {}, identifying = {}, by = {}, used = {}}
end

-- The sum of the rules that apply to a URL.
local function decide(policy, url)
    local path = url:match("^[^?]*")
    local found = nothing_found()
    for _, rule in ipairs(policy) do
        if applies(rule, url, path) then
            for _, name in ipairs({"never", "static", "stale", "private"}) do
                if found[name] == nil then
                    found[name], found.by[name] = rule[name], rule.number
                end
            end
            for _, name in ipairs(LISTS) do
                if #rule[name] > 0 then
                    table.insert(found[name], rule[name])
                end
            end
        end
    end
    return found
end

local function in_lists(lists, text, used)
    for _, globs in ipairs(lists) do
        if any(globs, text) then
            used[globs.rule or 0] = true
            return true
        end
    end
    return false
end

local function without_ignored(url, found)
    local ignored = found.ignored
    local path, query = url:match("^([^?]*)%?(.*)$")
    if path == nil or #ignored == 0 then
        return url
    end
    local kept, removed = {}, false
    for part in (query .. "&"):gmatch("([^&]*)&") do
        if in_lists(ignored, part:match("^[^=]*"), found.used) then
            removed = true
        else
            kept[#kept + 1] = part
        end
    end
    if not removed then
        return url
    end
    return #kept == 0 and path or path .. "?" .. table.concat(kept, "&")
end

-- Some servers end a cookie at a comma, so there could be another cookie in its value.
local function is_read_by_scripts(cookie, found)
    return not cookie:find(",", 1, true)
        and in_lists(found.scripts, cookie:match("^[^=]*"), found.used)
end

-- The cookies on which the page may depend, and the others.
local function split_cookies(lines, found)
    local kept, others = {}, {}
    for index = 0, #lines do
        for cookie in (lines[index] or ""):gmatch("[^;]+") do
            cookie = cookie:match("^%s*(.-)%s*$")
            if found.static or is_read_by_scripts(cookie, found) then
                others[#others + 1] = cookie
            elseif cookie ~= "" then
                kept[#kept + 1] = cookie
            end
        end
    end
    return table.concat(kept, "; "), table.concat(others, "; ")
end

local function has_login(lines, logins)
    for index = 0, lines and #lines or -1 do
        for cookie in (lines[index] or ""):gmatch("[^;]+") do
            if in_lists(logins, cookie:match("^%s*([^=]*)"):match("^(.-)%s*$"), {}) then
                return true
            end
        end
    end
    return false
end

-- The names of the cookies of a login, whatever the path: a write at any path ends the private pages.
-- A cookie that is not in the key of a page is none.
local function names_of_login(kept, policy)
    local names = {}
    for cookie in kept:gmatch("[^;]+") do
        local name = cookie:match("^%s*([^=]*)")
        for _, rule in ipairs(policy) do
            if any(rule.sessions, name) then
                names[#names + 1] = name
                break
            end
        end
    end
    return names
end

-- By the owner's consent: the page can be kept for this login, if the request shows one.
local function find_login(txn, policy, found, kept)
    local names = names_of_login(kept, policy)
    if #names > 0 then
        txn:set_var("txn.logins", table.concat(names, ";"))
    end
    local credentials = txn.f:req_fhdr("authorization")
    if credentials and credentials ~= "" then
        txn:set_var("txn.credentials", txn.c:hex(txn.c:sha1(credentials)))
    end
    if found.private and not found.static and (#names > 0 or txn:get_var("txn.credentials")) then
        txn:set_var("txn.private", true)
    end
end

local function apply_policy(txn, policy)
    local url = txn:get_var("txn.url")
    local found = decide(policy, url)
    local never, by = found.never, found.by.never
    if not never and url:find("%", 1, true) then
        local unquoted = decide(policy, unquote(url))
        never, by = unquoted.never, unquoted.by.never
    end
    if never then
        txn:set_var("txn.never", true)
        found.used[by or 0] = true
    end
    txn:set_var("txn.url", without_ignored(url, found))
    local anonymous = #found.logins > 0 and not found.static
    local headers = txn.f:req_hdr_cnt("cookie") > 0 and txn.http:req_get_headers() or {}
    if anonymous and not has_login(headers.cookie, found.logins) then
        txn:set_var("txn.anonymous", true)
    end
    local kept, others = "", ""
    if headers.cookie then
        kept, others = split_cookies(headers.cookie, found)
        if others ~= "" then
            txn:set_var("txn.split", true)
            txn:set_var("txn.scripts", others)
            if kept ~= "" then
                txn:set_var("txn.kept", kept)
            end
        end
    end
    if policy.private then
        find_login(txn, policy, found, kept)
    end
    if found.static then
        txn:set_var("txn.rule", "static")
    elseif found.stale then
        txn:set_var("txn.rule", "stale")
    end
    return found
end

-- The owner's rules about pages for strangers do not apply to a request that identifies its client.
local function limit_rules(txn)
    if txn:get_var("txn.plain") == nil then
        txn:unset_var("txn.anonymous")
        txn:unset_var("txn.rule")
    end
end

local MAX_RULES = 16

-- txn.rules: the numbers of the rules that make a difference for this request.
local function name_rules(txn, found)
    local flag = txn:get_var("txn.rule")
    if flag then
        found.used[found.by[flag] or 0] = true
    end
    if txn:get_var("txn.anonymous") then
        for _, globs in ipairs(found.logins) do
            found.used[globs.rule] = true
        end
    end
    if txn:get_var("txn.private") then
        found.used[found.by.private or 0] = true
    end
    local numbers = {}
    for number in pairs(found.used) do
        if number > 0 and #numbers < MAX_RULES then
            numbers[#numbers + 1] = number
        end
    end
    if #numbers > 0 then
        table.sort(numbers)
        txn:set_var("txn.rules", table.concat(numbers, "."))
    end
end
