%% Says who it is: ask() -> {Node, StartType, OsPid, Version}, from any node.
-module(ball_srv).
-behaviour(gen_server).
-export([start_link/1, ask/0, whereabouts/0]).
-export([init/1, handle_call/3, handle_cast/2, code_change/3]).

start_link({takeover, _} = Type) ->
    {ok, Pid} = gen_server:start_link(?MODULE, Type, []),
    yes = global:re_register_name(?MODULE, Pid),
    {ok, Pid};
start_link(Type) ->
    gen_server:start_link({global, ?MODULE}, ?MODULE, Type, []).

-spec ask() -> {node(), application:start_type(), string(), string()}.
ask() -> gen_server:call({global, ?MODULE}, ask, 2000).

%% The node that runs ball, as far as this node knows, without a call to it.
-spec whereabouts() -> node() | nowhere.
whereabouts() ->
    case global:whereis_name(?MODULE) of
        undefined -> nowhere;
        Pid -> node(Pid)
    end.

init(Type) ->
    logger:notice("ball ~ts runs on ~ts, start ~tp", [version(), node(), Type]),
    {ok, Type}.

handle_call(ask, _From, Type) ->
    {reply, {node(), Type, os:getpid(), version()}, Type};
handle_call(_Other, _From, Type) ->
    {reply, {error, unknown_call}, Type}.

handle_cast(_Other, Type) -> {noreply, Type}.

code_change(_OldVsn, Type, _Extra) -> {ok, Type}.

version() ->
    {ok, Vsn} = application:get_key(ball, vsn),
    Vsn.
