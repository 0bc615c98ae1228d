%% No restarts inside: whoever runs the node restarts it, and says why.
-module(court_sup).
-behaviour(supervisor).
-export([start_link/0, init/1]).

start_link() -> supervisor:start_link({local, ?MODULE}, ?MODULE, []).

init([]) ->
    Children = [#{id => court_door, start => {court_door, start_link, []}},
                #{id => court_score, start => {court_score, start_link, []}}],
    {ok, {#{strategy => one_for_all, intensity => 0, period => 1}, Children}}.
