-- Requests of wrk: lines of the file that REQUESTS names, an address and an access token each, in an order drawn by chance.
-- Standard error gets what was counted, as one line of JSON.
-- The argument is the seed of chance; below 0, they are asked in turn, beginning with that one.
local requests, place = {}, nil

function init(args)
  local seed = tonumber(args[1])
  if seed < 0 then
    place = -seed - 1
  else
    math.randomseed(seed)
  end
  for line in io.lines(os.getenv("REQUESTS")) do
    local path, token = line:match("^(%S+) (%S+)$")
    requests[#requests + 1] = wrk.format("GET", path, { Authorization = "Bearer " .. token })
  end
end

function request()
  if place then
    place = place + 1
    return requests[(place - 1) % #requests + 1]
  end
  return requests[math.random(#requests)]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.stderr:write(string.format(
    '{"requests": %d, "microseconds": %d, "refused": %d, "broken": %d, "p50": %d, "p99": %d}\n',
    summary.requests, summary.duration, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)
  ))
end
