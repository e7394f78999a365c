-- Finds with whom a client may share pages: nova_cachemig/model/sharing.py.
-- The agent renders the lists of headers. This continues policy.lua.

local SHIPPED = {
    {globs_of(NEUTRAL_HEADERS), "neutral"},
    {globs_of(IDENTIFYING_HEADERS), "identifying"},
    {globs_of(ORDINARY_HEADERS), "ordinary"},
}

-- Clients choose names, so the number of those that are kept is limited.
local MAX_NAMES = 2000
local classes, names_kept = {}, 0

local function shipped_class(name)
    local class = classes[name]
    if class == nil then
        class = "other"
        for _, list in ipairs(SHIPPED) do
            if any(list[1], name) then
                class = list[2]
                break
            end
        end
        if names_kept >= MAX_NAMES then
            classes, names_kept = {}, 0
        end
        classes[name], names_kept = class, names_kept + 1
    end
    return class
end

local function class_of(name, found)
    if in_lists(found.identifying, name, found.used) then
        return "identifying"
    end
    if #found.neutral > 0 and not NEVER_NEUTRAL[name] and in_lists(found.neutral, name, found.used) then
        return "neutral"
    end
    return shipped_class(name)
end

-- The lines of a header, each with its length, so that no two requests have the same text.
local function text_of(name, lines, last)
    local text = {name}
    for index = 0, last do
        text[#text + 1] = #lines[index] .. ":" .. lines[index]
    end
    return table.concat(text, " ")
end

-- The cookies that tell who asks: all of them, unless the policy has found that some do not.
local function cookies_of(txn, headers, found, clear)
    if not headers.cookie or (found.static and clear) then
        return nil
    end
    if not found.static then
        local kept = split_cookies(headers.cookie, found)
        return kept ~= "" and kept or nil
    end
    return text_of("cookie", headers.cookie, #headers.cookie)
end

-- * txn.own: a name for this client with its headers;
-- * txn.shared: a name for the headers, if none of them identifies the client;
-- * txn.plain: 2 if the request has only headers that the warmer tries, 1 if it also has cookies.
local function share(txn, found)
    local headers = txn.http:req_get_headers()
    local names, class = {}, {}
    for name in pairs(headers) do
        class[name] = class_of(name, found)
        if class[name] ~= "neutral" and name ~= "cookie" then
            names[#names + 1] = name
        end
    end
    table.sort(names)
    local clear, identified, parts, client = true, false, {}, {}
    client[1], client[2] = tostring(txn.f:src()), tostring(txn:get_var("txn.client"))
    for _, name in ipairs(names) do
        local last = #headers[name]
        if name == "x-forwarded-for" and txn:get_var("txn.xff_added") then
            last = last - 1  -- the edge has added the last line
        end
        if last >= 0 then
            -- From a trusted proxy, it is the client's address, and no page is shared by that.
            local by_proxy = name == "x-forwarded-for" and txn:get_var("txn.trusted")
            local where = by_proxy and client or parts
            where[#where + 1] = text_of(name, headers[name], last)
            identified = identified or class[name] == "identifying"
            clear = clear and class[name] == "ordinary"
        end
    end
    local said, cookies = table.concat(parts, "\n"), cookies_of(txn, headers, found, clear)
    client[#client + 1], client[#client + 2] = cookies or "", said
    txn:set_var("txn.own", txn.c:hex(txn.c:sha1(table.concat(client, "\n"))))
    if not identified and not cookies then
        txn:set_var("txn.shared", txn.c:hex(txn.c:sha1(said)))
    end
    if clear then
        txn:set_var("txn.plain", cookies and 1 or 2)
    end
end

local function apply(txn)
    local policy = policy_of(txn:get_var("txn.svc"))
    local found = nothing_found()
    if policy ~= nil then
        found = apply_policy(txn, policy)
    end
    local method = txn.f:method()
    if txn:get_var("txn.own") == nil and (method == "GET" or method == "HEAD") then
        share(txn, found)
    elseif txn:get_var("txn.preflight") then
        share(txn, found)
        txn:unset_var("txn.plain")
        if txn:get_var("txn.never") or txn:get_var("txn.shared") == nil then
            txn:unset_var("txn.preflight")
        end
    end
    limit_rules(txn)
    name_rules(txn, found)
end

core.register_action("cachemig_page", {"http-req"}, function(txn)
    local ok, problem = pcall(apply, txn)
    if not ok then
        core.Alert("cachemig_page: " .. tostring(problem))
        txn:set_var("txn.never", true)
    end
end, 0)
