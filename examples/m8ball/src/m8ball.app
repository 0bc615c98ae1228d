{application, m8ball,
 [{description, "Answers questions, on one node of a cluster at a time"},
  {vsn, "1.0.0"},
  {modules, [m8ball, m8ball_app, m8ball_server, m8ball_sup]},
  {registered, []},
  {applications, [kernel, stdlib]},
  {mod, {m8ball_app, []}},
  {env, [{home, unknown},
         {answers, ["yes", "no", "ask again later", "outlook good", "very doubtful"]}]}]}.
