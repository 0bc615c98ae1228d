%% Starts when the cluster lets it: at first, after the death of another node
%% that had it, or taking it over from a lesser node.
-module(m8ball_app).
-behaviour(application).
-export([start/2, stop/1]).

start(_Type, []) ->
    m8ball_sup:start_link().

stop(_State) ->
    ok.
