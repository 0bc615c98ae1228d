#!/usr/bin/env escript
%% assemble.escript VERSION DIR TLS: writes boot files, RELEASES and start_erl.data
%% of release `ball` into DIR and copies the runtime and OTP's applications, with
%% TLS `true` those for distribution over TLS too.
-mode(compile).

-define(RUNTIME, ["beam.smp", "erlexec", "erl_child_setup", "inet_gethost", "epmd",
                  "erl_call", "heart", "run_erl", "to_erl"]).
-define(TLS, [crypto, asn1, public_key, ssl]).
-define(OURS, [court, ball]).

main([Version, Dir, Tls]) ->
    Otp = [kernel, stdlib, sasl] ++ [App || App <- ?TLS, Tls =:= "true"],
    Releases = filename:join(Dir, "releases"),
    Place = filename:join(Releases, Version),
    ok = filelib:ensure_path(Place),
    [copy_application(App, Dir) || App <- Otp],
    copy_runtime(Dir),
    Rel = filename:join(Place, "ball"),
    write_rel(Rel, "ball", Version, applications(Otp, otp_versions(Otp)) ++ applications(?OURS, Version)),
    make_script(Rel, Dir),
    {ok, _} = file:copy(Rel ++ ".boot", filename:join(Place, "start.boot")),
    Clean = filename:join(Place, "start_clean"),
    write_rel(Clean, "start_clean", Version, applications([kernel, stdlib], otp_versions(Otp))),
    make_script(Clean, Dir),
    ok = file:delete(Clean ++ ".rel"),
    ok = release_handler:create_RELEASES(Dir, Releases, Rel ++ ".rel", []),
    make_relative(filename:join(Releases, "RELEASES"), Dir),
    StartErl = [erlang:system_info(version), " ", Version],
    ok = file:write_file(filename:join(Releases, "start_erl.data"), StartErl).

copy_application(App, Dir) ->
    From = code:lib_dir(App),
    To = filename:join([Dir, "lib", filename:basename(From), "ebin"]),
    ok = filelib:ensure_path(To),
    Beams = filelib:wildcard(filename:join([From, "ebin", "*.{beam,app,appup}"])),
    [{ok, _} = file:copy(Beam, filename:join(To, filename:basename(Beam))) || Beam <- Beams],
    {ok, _} = beam_lib:strip_files(filelib:wildcard(filename:join(To, "*.beam"))),
    copy_libraries(From, filename:dirname(To)).

%% What an application has written in C: crypto has.
copy_libraries(From, To) ->
    Libraries = filelib:wildcard("priv/lib/*.so", From),
    [ok = filelib:ensure_dir(filename:join(To, Library)) || Library <- Libraries],
    [{ok, _} = file:copy(filename:join(From, Library), filename:join(To, Library)) || Library <- Libraries],
    ok.

copy_runtime(Dir) ->
    Erts = "erts-" ++ erlang:system_info(version),
    To = filename:join([Dir, Erts, "bin"]),
    ok = filelib:ensure_path(To),
    [copy_program(filename:join([code:root_dir(), Erts, "bin", Program]), To) || Program <- ?RUNTIME],
    ok.

copy_program(From, To) ->
    Target = filename:join(To, filename:basename(From)),
    {ok, _} = file:copy(From, Target),
    ok = file:change_mode(Target, 8#755).

otp_versions(Otp) ->
    maps:from_list([{App, lib_version(App)} || App <- Otp]).

lib_version(App) ->
    [_, Version] = string:split(filename:basename(code:lib_dir(App)), "-"),
    Version.

applications(Apps, Versions) when is_map(Versions) ->
    [{App, maps:get(App, Versions)} || App <- Apps];
applications(Apps, Version) ->
    [{App, Version} || App <- Apps].

write_rel(Path, Name, Version, Apps) ->
    Term = {release, {Name, Version}, {erts, erlang:system_info(version)}, Apps},
    ok = file:write_file(Path ++ ".rel", io_lib:format("~tp.~n", [Term])).

make_script(Path, Dir) ->
    Options = [{path, filelib:wildcard(filename:join([Dir, "lib", "*", "ebin"]))},
               {outdir, filename:dirname(Path)}, {variables, [{"ROOT", Dir}]},
               no_warn_sasl, silent],
    {ok, _Module, _Warnings} = systools:make_script(Path, Options),
    ok = file:delete(Path ++ ".script").

%% Absolute paths of the build would be wrong wherever the release is unpacked.
make_relative(File, Dir) ->
    {ok, [Releases]} = file:consult(File),
    Relative = [setelement(5, Release, [{App, Vsn, strip(Path, Dir)} || {App, Vsn, Path} <- element(5, Release)])
                || Release <- Releases],
    ok = file:write_file(File, io_lib:format("~tp.~n", [Relative])).

strip(Path, Dir) ->
    case string:prefix(Path, filename:absname(Dir) ++ "/") of
        nomatch -> Path;
        Rest -> Rest
    end.
