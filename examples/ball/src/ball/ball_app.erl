%% The distributed application. OTP calls start/2 with `normal` on a first start
%% and after a failover, and with `{takeover, Node}` when a node of higher rank
%% comes back while Node still runs us.
-module(ball_app).
-behaviour(application).
-export([start/2, prep_stop/1, stop/1]).

start(normal, _Args) -> ball_sup:start_link(normal);
start({takeover, Node}, _Args) -> ball_sup:start_link({takeover, Node});
start({failover, Node}, _Args) -> ball_sup:start_link({failover, Node}).

prep_stop(State) ->
    logger:notice("ball leaves ~ts", [node()]),
    State.

stop(_State) -> ok.
