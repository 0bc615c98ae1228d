%% Globally named, so that a second copy inside one cluster is refused.
-module(ball_sup).
-behaviour(supervisor).
-export([start_link/1, init/1]).

%% During a takeover the other copy is still alive and owns the global name
%% until OTP stops it, so the newcomer takes the name over instead of asking.
start_link({takeover, _} = Type) ->
    {ok, Pid} = supervisor:start_link(?MODULE, Type),
    yes = global:re_register_name(?MODULE, Pid),
    {ok, Pid};
start_link(Type) ->
    supervisor:start_link({global, ?MODULE}, ?MODULE, Type).

init(Type) ->
    Server = #{id => ball_srv, start => {ball_srv, start_link, [Type]}, shutdown => 2000},
    {ok, {#{strategy => one_for_one, intensity => 3, period => 10}, [Server]}}.
