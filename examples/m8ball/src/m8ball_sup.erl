-module(m8ball_sup).
-behaviour(supervisor).
-export([start_link/0, init/1]).

start_link() ->
    supervisor:start_link(?MODULE, []).

init([]) ->
    Server = #{id => m8ball_server, start => {m8ball_server, start_link, []}, shutdown => 5000},
    {ok, {#{strategy => one_for_one, intensity => 5, period => 10}, [Server]}}.
