%% One for the whole cluster, by its global name. While one node takes over
%% from another, the name moves to the newcomer.
-module(m8ball_server).
-behaviour(gen_server).
-export([start_link/0, init/1, handle_call/3, handle_cast/2]).

start_link() ->
    gen_server:start_link(?MODULE, [], []).

init([]) ->
    yes = global:re_register_name(?MODULE, self()),
    {ok, Answers} = application:get_env(m8ball, answers),
    {ok, list_to_tuple(Answers)}.

handle_call({ask, Question}, _From, Answers) ->
    Answer = element(1 + erlang:phash2(Question, tuple_size(Answers)), Answers),
    {reply, {node(), Answer}, Answers}.

handle_cast(_Word, Answers) ->
    {noreply, Answers}.
