%% What others may ask.
-module(m8ball).
-export([ask/1, home/0]).

%% {Node that answered, Answer}; from any node of the cluster.
ask(Question) ->
    gen_server:call({global, m8ball_server}, {ask, Question}).

%% What the settings call this node.
home() ->
    {ok, Home} = application:get_env(m8ball, home),
    Home.
