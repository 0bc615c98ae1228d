#!/usr/bin/env escript
%% generate.escript DIR: a release in DIR: boot file, settings, start script.
%% vars.config fills the {{words}} of rel/files, as reltool's overlays did.
-mode(compile).

-define(VERSION, "1.0.0").

main([Dir]) ->
    {ok, Vars} = file:consult("rel/files/vars.config"),
    Place = filename:join([Dir, "releases", ?VERSION]),
    Ebin = filename:join([Dir, "lib", "m8ball-" ++ ?VERSION, "ebin"]),
    ok = filelib:ensure_path(Place),
    ok = filelib:ensure_path(Ebin),
    [{ok, _} = file:copy(File, filename:join(Ebin, filename:basename(File))) || File <- filelib:wildcard("ebin/*")],
    [fill(Vars, File, Place) || File <- ["vm.args", "sys.config"]],
    boot(Dir, Place),
    ok = file:write_file(filename:join([Dir, "releases", "start_erl.data"]),
                         [erlang:system_info(version), " ", ?VERSION]),
    Script = filename:join([Dir, "bin", "m8ball"]),
    ok = filelib:ensure_dir(Script),
    {ok, _} = file:copy("rel/files/m8ball", Script),
    ok = file:change_mode(Script, 8#755).

fill(Vars, File, Place) ->
    {ok, Text} = file:read_file(filename:join("rel/files", File)),
    Word = fun({Name, Value}, Filled) ->
                   string:replace(Filled, ["{{", atom_to_list(Name), "}}"], Value, all)
           end,
    ok = file:write_file(filename:join(Place, File), lists:foldl(Word, Text, Vars)).

boot(Dir, Place) ->
    Applications = [{kernel, version(kernel)}, {stdlib, version(stdlib)}, {m8ball, ?VERSION}],
    Release = {release, {"m8ball", ?VERSION}, {erts, erlang:system_info(version)}, Applications},
    ok = file:write_file(filename:join(Place, "m8ball.rel"), io_lib:format("~tp.~n", [Release])),
    Options = [{path, [filename:absname(filename:join([Dir, "lib", "m8ball-" ++ ?VERSION, "ebin"]))]},
               {outdir, Place}, {variables, [{"M8BALL", filename:absname(Dir)}]}, no_warn_sasl, silent],
    {ok, _, _} = systools:make_script(filename:join(Place, "m8ball"), Options),
    ok = file:rename(filename:join(Place, "m8ball.boot"), filename:join(Place, "start.boot")).

version(Application) ->
    _ = application:load(Application),
    {ok, Version} = application:get_key(Application, vsn),
    Version.
