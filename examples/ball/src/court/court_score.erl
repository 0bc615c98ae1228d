%% Keeps the score, some day. Version 3.0.0 is built with -DBROKEN: it looks for
%% a setting that nobody has given and takes the node down a moment after boot,
%% which is what a bad release does in real life. It halts at once: the orderly
%% way out of OTP takes 1.5 s more.
-module(court_score).
-behaviour(gen_server).
-export([start_link/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-ifdef(BROKEN).
-define(FIRST_LOOK_MS, 200).
look() -> erlang:send_after(?FIRST_LOOK_MS, self(), look).
-else.
look() -> none.
-endif.

start_link() -> gen_server:start_link(?MODULE, [], []).

init([]) -> {ok, look()}.

handle_call(_Other, _From, State) -> {reply, {error, unknown_call}, State}.

handle_cast(_Other, State) -> {noreply, State}.

handle_info(look, State) ->
    case application:get_env(court, scoreboard_url) of
        {ok, _Url} -> {noreply, State};
        undefined -> give_up({missing_setting, court, scoreboard_url})
    end;
handle_info(_Other, State) -> {noreply, State}.

-spec give_up(term()) -> no_return().
give_up(Reason) ->
    logger:error("court ~ts cannot go on: ~tp", [court_page:version(), Reason]),
    _ = logger_std_h:filesync(default),
    erlang:halt(1).
