%% The state of RabbitMQ, for "rabbitmqctl eval": the list of facts of all virtual hosts.
Vhosts = rabbit_vhost:list_names(),
Each = fun(Kind, List) -> [{Kind, V, Fact} || V <- Vhosts, Fact <- List(V)] end,
Facts = [{vhost, V} || V <- Vhosts]
    ++ [{user, User} || User <- rabbit_auth_backend_internal:list_users()]
    ++ Each(permission, fun rabbit_auth_backend_internal:list_vhost_permissions/1)
    ++ Each(policy, fun rabbit_policy:list/1)
    ++ Each(exchange, fun(V) -> rabbit_exchange:info_all(V,
        [name, type, durable, auto_delete, internal, arguments]) end)
    ++ Each(queue, fun(V) -> rabbit_amqqueue:info_all(V,
        [name, type, durable, auto_delete, exclusive, arguments, policy]) end)
    ++ Each(binding, fun rabbit_binding:info_all/1)
