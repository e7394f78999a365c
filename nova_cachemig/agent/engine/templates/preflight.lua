
-- Responds to preflights of CORS in the silence, from the guest's last response to the same one.
--
-- A preflight asks whether scripts of an origin may send a request. It has no credentials, and browsers
-- keep the response. A client gets the response to itself. It gets that to others with the same headers
-- after two clients have got equal ones.

local MAX_ENTRIES, MAX_BYTES = 500, 128 * 1024  -- of a service, each of two times

-- Service -> the generation of its pages, and two tables. If the young one is full, it becomes the old one.
local preflights = {}

local function preflights_of(service)
    local generation = (state:lookup(service) or ""):match(":(.*)$")
    if generation == nil then
        preflights[service] = nil
        return nil
    end
    local known = preflights[service]
    if known == nil or known.generation ~= generation then
        known = {generation = generation, young = {}, old = {}, number = 0, bytes = 0}
        preflights[service] = known
    end
    return known
end

local function find_preflight(known, key)
    return known.young[key] or known.old[key]
end

local function keep_preflight(known, key, entry)
    local old = known.young[key]
    known.number = known.number + (old and 0 or 1)
    known.bytes = known.bytes + #entry.text - (old and #old.text or 0)
    if known.number > MAX_ENTRIES or known.bytes > MAX_BYTES then
        known.old, known.young, known.number, known.bytes = known.young, {}, 1, #entry.text
    end
    known.young[key] = entry
end

local function forget_preflight(known, key)
    local old = known.young[key]
    if old ~= nil then
        known.young[key] = nil
        known.number, known.bytes = known.number - 1, known.bytes - #old.text
    end
    known.old[key] = nil
end

-- The entries of this client, and of all that say the same.
local function keys_of_preflight(txn)
    local url = "|" .. txn:get_var("txn.host") .. "|" .. txn.sf:req_fhdr("accept-encoding") .. "|"
        .. txn:get_var("txn.url")
    return "own|" .. txn:get_var("txn.own") .. url, "all|" .. txn:get_var("txn.shared") .. url
end

-- Changes with each write to the page, in any spelling.
local function writes_to(txn)
    return (epochs:lookup(txn:get_var("txn.by_url")) or "0") .. "."
        .. (epochs:lookup(txn:get_var("txn.url_bucket")) or "0")
end

local HOP_BY_HOP = {
    ["connection"] = true, ["keep-alive"] = true, ["proxy-connection"] = true, ["upgrade"] = true,
    ["transfer-encoding"] = true, ["trailer"] = true, ["te"] = true, ["content-length"] = true,
    ["date"] = true, ["age"] = true,
}

local function all_lines(headers, name)
    local lines = {}
    for index = 0, headers[name] and #headers[name] or -1 do
        lines[#lines + 1] = headers[name][index]
    end
    return table.concat(lines, ", "):lower()
end

local function first_number(text)
    return tonumber(text:match("^%s*(%-?%d+)"))
end

-- Whether the guest lets the origin send the request, and nothing forbids to keep this response.
local function may_be_kept(headers, status)
    local control = all_lines(headers, "cache-control") .. "," .. all_lines(headers, "pragma") .. ","
        .. all_lines(headers, "cdn-cache-control") .. "," .. all_lines(headers, "surrogate-control")
    control = control:gsub("%s", "")
    local seconds = first_number(all_lines(headers, "access-control-max-age"))
    return status >= 200 and status <= 299 and status ~= 206
        and headers["access-control-allow-origin"] ~= nil
        and (seconds == nil or seconds > 0)
        and headers["set-cookie"] == nil and headers["set-cookie2"] == nil
        and not all_lines(headers, "vary"):find("*", 1, true)
        and not (control:find("no-store", 1, true) or control:find("private", 1, true)
            or control:find("no-cache", 1, true) or control:find("revalidate", 1, true)
            or control:find("max%-?age=0"))
end

-- The response with its headers in a fixed order, and the same as one text.
local function copy_of(txn, headers, status)
    local kept, names, text = {}, {}, {tostring(status)}
    for name in pairs(headers) do
        if not HOP_BY_HOP[name] then
            names[#names + 1] = name
        end
    end
    table.sort(names)
    for _, name in ipairs(names) do
        local lines = {}
        for index = 0, #headers[name] do
            lines[#lines + 1] = headers[name][index]
            text[#text + 1] = name .. ":" .. headers[name][index]
        end
        kept[name] = lines
    end
    local body = status ~= 204 and txn.sf:res_body() or ""
    if #body ~= (txn.f:res_body_len() or 0) or body:find("\0", 1, true) then
        return nil  -- HAProxy would end it at the zero
    end
    text[#text + 1] = body
    return {
        status = status, headers = kept, body = body, text = table.concat(text, "\n"),
        at = core.now().sec, writes = txn:get_var("txn.permission"),
        seconds = first_number(all_lines(headers, "access-control-max-age")) or 5,
    }
end

-- The response to a preflight: it takes the place of the one before, or ends it.
local function note_preflight(txn)
    local known = preflights_of(txn:get_var("txn.svc"))
    if known == nil then
        return
    end
    local own, all = keys_of_preflight(txn)
    local headers, status = txn.http:res_get_headers(), txn.f:status()
    local copy = txn:get_var("txn.whole") and may_be_kept(headers, status)
        and copy_of(txn, headers, status)
    if not copy or #copy.text > MAX_PREFLIGHT then
        forget_preflight(known, own)
        forget_preflight(known, all)
        return
    end
    keep_preflight(known, own, copy)
    local before, shared = find_preflight(known, all), {}
    for name, value in pairs(copy) do
        shared[name] = value
    end
    shared.client = txn:get_var("txn.client")
    if before ~= nil and before.text == copy.text then
        shared.alike = before.alike or before.client ~= shared.client
    end
    keep_preflight(known, all, shared)
end

-- As a browser does, use it for its time whatever is written. Later, only if the page was not written to.
local function is_usable(txn, entry)
    return core.now().sec - entry.at <= entry.seconds
        or (entry.writes == writes_to(txn) and not is_pending(txn, "txn.by_url")
            and not is_pending(txn, "txn.url_bucket"))
end

local function known_response(txn)
    local known = preflights_of(txn:get_var("txn.svc"))
    if known == nil then
        return nil
    end
    local own, all = keys_of_preflight(txn)
    local entry, shared = find_preflight(known, own), find_preflight(known, all)
    if entry == nil and shared ~= nil and shared.alike then
        entry = shared
    end
    return entry ~= nil and is_usable(txn, entry) and entry or nil
end

-- Sets txn.permitted if there is a response.
core.register_action("cachemig_permitted", {"http-req"}, guarded("cachemig_permitted", function(txn)
    local entry = known_response(txn)
    if entry ~= nil then
        txn:set_priv(entry)
        txn:set_var("txn.permitted", true)
    end
end), 0)

core.register_action("cachemig_permit", {"http-req"}, function(txn)
    local entry = txn:get_priv()
    local reply = txn:reply({status = entry.status})
    for name, lines in pairs(entry.headers) do
        for _, line in ipairs(lines) do
            reply:add_header(name, line)
        end
    end
    reply:add_header("Date", txn.c:http_date(entry.at))
    reply:add_header("Age", tostring(core.now().sec - entry.at))
    reply:add_header("Cache-Status", "cachemig; hit; detail=preflight")
    reply:add_header("X-Cachemig-Served", "hit")
    reply:add_header("X-Cachemig-By", "preflight")
    reply:set_body(entry.body)
    txn:done(reply)
end, 0)

core.register_action("cachemig_preflight", {"http-res"}, guarded("cachemig_preflight", note_preflight), 0)

core.register_task(function()
    while true do
        core.msleep(1000)
        for service in pairs(preflights) do
            pcall(preflights_of, service)
        end
    end
end)
