-- The purse for Wireshark and tshark: names what the ISO 7816 dissector has taken apart.
--
-- Above this part stand the tables COMMANDS, FILES, FIELDS and STATUS, written out of tapbench's
-- own command table: `tapbench trace wireshark` makes this file anew.
--
-- COMMANDS: by class and instruction, or these and P1 where one instruction is several commands.
-- A field is { name, offset, size, how it is shown, names of its values }.

local tapbench = Proto("tapbench", "T-Union purse")

local command_field = ProtoField.string("tapbench.command", "Command")
local parameters_field = ProtoField.string("tapbench.parameters", "Parameters")
local sw_field = ProtoField.uint16("tapbench.sw", "Status word", base.HEX)
local status_field = ProtoField.string("tapbench.status", "Status")
local reason_field = ProtoField.string("tapbench.reason", "Reason")
local file_field = ProtoField.string("tapbench.file", "File")

local declared = { command_field, parameters_field, sw_field, status_field, reason_field, file_field }
local proto_fields = {}
for name, kind in pairs(FIELDS) do
    local label = name:gsub("_", " ")
    local make = kind == "uint" and ProtoField.uint32 or ProtoField.bytes
    proto_fields[name] = make("tapbench." .. name, label)
    declared[#declared + 1] = proto_fields[name]
end
tapbench.fields = declared

local apdu_of = Field.new("iso7816")
local class_of = Field.new("iso7816.apdu.cla")
local status_of = Field.new("iso7816.apdu.sw1")

-- By frame number: which command was asked there, or is answered there.
local asked = {}
local latest = nil

function tapbench.init()
    asked = {}
    latest = nil
end

local function digits(range)
    return (tostring(range:bytes()):upper())
end

local function cut(text, ...)
    local parts, at = {}, 1
    for _, size in ipairs({ ... }) do
        parts[#parts + 1] = text:sub(at, at + size - 1)
        at = at + size
    end
    return parts
end

local function yuan(fen)
    return string.format("%d.%02d", math.floor(fen / 100), fen % 100)
end

local SHOWN = {
    money = function(range) return yuan(range:uint()) .. " yuan" end,
    digits = digits,
    date = function(range) return table.concat(cut(digits(range), 4, 2, 2), "-") end,
    time = function(range) return table.concat(cut(digits(range), 2, 2, 2), ":") end,
    moment = function(range)
        local d = digits(range)
        return table.concat(cut(d, 4, 2, 2), "-") .. " " .. table.concat(cut(d:sub(9), 2, 2, 2), ":")
    end,
}

-- Adds the fields of a record to the tree. Returns the few that belong into the Info column.
local function add_fields(tree, fields, data)
    local brief = {}
    for _, field in ipairs(fields) do
        local name, offset, size, how, values = field[1], field[2], field[3], field[4], field[5]
        size = size or data:len() - offset
        if how == "secret" then
            tree:add(string.format("%s: %d bytes, not shown", name:gsub("_", " "), size))
        elseif size > 0 then
            local range = data:range(offset, size)
            local item = tree:add(proto_fields[name], range)
            local text = SHOWN[how] and SHOWN[how](range)
            if values and size <= 4 then text = values[range:uint()] or text end
            if text and how ~= "digits" then item:append_text(" (" .. text .. ")") end
            if how == "money" or name == "terminal" then
                brief[#brief + 1] = name:gsub("_", " ") .. " " .. text
            elseif name == "name" or name == "fid" then
                brief[#brief + 1] = digits(range)
            end
        end
    end
    return brief
end

local function fits(record, data)
    local size = data and data:len() or 0
    return record and size >= record.least and size <= record.most
end

local function add_file(tree, spec, p1, p2, data)
    local sfi
    if spec.where == "binary" and p1 >= 0x80 and p2 == 0 then
        sfi = p1 % 32
    elseif spec.where == "record" then
        sfi = math.floor(p2 / 8)
    end
    for _, layout in ipairs(sfi and FILES[sfi] or {}) do
        local is_it = not layout.id or data:len() >= 2 and digits(data:range(0, 2)) == layout.id
        if is_it and fits(layout, data) then
            local below = tree:add(file_field, data, layout.name)
            add_fields(below, layout.fields, data)
        end
    end
end

local function parameters(spec, p1, p2)
    local said = spec.says and spec.says[string.format("%02X%02X", p1, p2)]
    if spec.where == "binary" then
        if p1 < 0x80 then return string.format("current EF, offset %d", p1 * 256 + p2) end
        said = string.format("EF%02X", p1 % 32)
        return p2 > 0 and string.format("%s, offset %d", said, p2) or said
    elseif spec.where == "record" then
        local sfi = math.floor(p2 / 8)
        return string.format("%s, record %d", sfi > 0 and string.format("EF%02X", sfi) or "current EF", p1)
    end
    return said
end

local function find(cla, ins, p1)
    local family = string.format("%02X%02X", cla, ins)
    return COMMANDS[family .. string.format("%02X", p1)] or COMMANDS[family]
end

local function show(pinfo, words)
    pinfo.cols.info:set(table.concat(words, ", "))
    pinfo.cols.protocol:set("T-Union")
end

local function command(apdu, pinfo, tree)
    if apdu:len() < 4 then return end
    local p1, p2 = apdu:range(2, 1):uint(), apdu:range(3, 1):uint()
    local spec = find(apdu:range(0, 1):uint(), apdu:range(1, 1):uint(), p1)
    local call = { spec = spec, p1 = p1, p2 = p2 }
    if not pinfo.visited then
        latest = call
        asked[pinfo.number] = call
    end
    if not spec then return end
    local below = tree:add(tapbench, apdu, "T-Union purse, " .. spec.name)
    below:add(command_field, apdu:range(0, 4), spec.name)
    local head = spec.name
    local said = parameters(spec, p1, p2)
    if said then
        below:add(parameters_field, apdu:range(2, 2), said)
        head = head .. " " .. said
    end
    local words = { head }
    local size = apdu:len() > 5 and apdu:range(4, 1):uint() or 0
    if size > 0 and apdu:len() >= 5 + size then
        local data = apdu:range(5, size)
        if fits(spec.data, data) then
            for _, text in ipairs(add_fields(below, spec.data.fields, data)) do
                words[#words + 1] = text
            end
        end
        add_file(below, spec, p1, p2, data)
    end
    show(pinfo, words)
end

local function response(apdu, pinfo, tree)
    if apdu:len() < 2 then return end
    if not pinfo.visited then asked[pinfo.number] = latest end
    local call = asked[pinfo.number]
    local spec = call and call.spec
    local sw = apdu:range(apdu:len() - 2, 2)
    local status = STATUS[sw:uint()] or "unknown status word"
    local title = spec and spec.name or "not in the table"
    local below = tree:add(tapbench, apdu, "T-Union purse, answer to " .. title)
    if spec then below:add(command_field, spec.name):set_generated() end
    below:add(sw_field, sw)
    below:add(status_field, sw, status)
    local words = { string.format("%04X %s", sw:uint(), status) }
    local reason = spec and spec.reasons and spec.reasons[sw:uint()]
    if reason then
        below:add(reason_field, sw, reason)
        words[#words + 1] = reason
    end
    if spec and apdu:len() > 2 then
        local data = apdu:range(0, apdu:len() - 2)
        if fits(spec.reply, data) then
            for _, text in ipairs(add_fields(below, spec.reply.fields, data)) do
                words[#words + 1] = text
            end
        end
        add_file(below, spec, call.p1, call.p2, data)
    end
    show(pinfo, words)
end

function tapbench.dissector(_, pinfo, tree)
    local whole = apdu_of()
    if not whole then return end
    if class_of() then
        command(whole.range, pinfo, tree)
    elseif status_of() then
        response(whole.range, pinfo, tree)
    end
end

register_postdissector(tapbench)
